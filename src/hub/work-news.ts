// What each validator is told of an open round's work: the list, once it is closed, and its own draw, of which later only what has changed.
import { hexToBytes } from '@noble/hashes/utils.js';
import type { RunState, Submission } from '../core/state.ts';
import { encodeMessage } from '../protocol/encode-message.ts';
import { type JudgedView, WORK_LIMITS, type WorkPiece } from '../protocol/from-hub.ts';
import { submissionView } from './views.ts';

/** Of submissions in one message, by an estimate: half of what a message may have. */
const PIECE_BYTES = 1 << 19;
const VIEW_BYTES = { least: 800, judge: 67 } as const;

/** A connected validator, as far as it matters here. */
export interface Judging {
  readonly peer: string | null;
  /** A worker of whose submission it is told in any case. */
  readonly watches: string | null;
}

/** What one connection knows of a round. */
interface Told {
  readonly round: string;
  listed: boolean;
  /** By submission, what it was told last. */
  readonly drawn: Map<string, string>;
}

export interface WorkNews<C extends Judging> {
  /** The messages with what a connection does not know yet; they belong before the run's view. */
  framesFor(run: RunState, connection: C): Uint8Array[];
}

export function openWorkNews<C extends Judging>(): WorkNews<C> {
  const told = new WeakMap<C, Told>();
  const lists = new WeakMap<RunState, { readonly round: string; readonly bytes: Uint8Array }>();

  const toldOf = (connection: C, round: string): Told => {
    const known = told.get(connection);
    if (known?.round === round) return known;
    const fresh = { round, listed: false, drawn: new Map() };
    told.set(connection, fresh);
    return fresh;
  };
  /** The closed list as bytes, made once for all validators. */
  const listOf = (run: RunState, round: string): Uint8Array => {
    const known = lists.get(run);
    if (known?.round === round) return known.bytes;
    const bytes = new Uint8Array(run.submissions.size * WORK_LIMITS.entry_bytes);
    let at = 0;
    for (const { worker, body } of run.submissions.values()) {
      bytes.set(hexToBytes(worker), at);
      bytes.set(hexToBytes(body.work), at + WORK_LIMITS.entry_bytes / 2);
      at += WORK_LIMITS.entry_bytes;
    }
    lists.set(run, { round, bytes });
    return bytes;
  };

  return {
    framesFor(run, connection) {
      const { phase, round, attempt, draw } = run;
      if (draw === null || (phase !== 'judging' && phase !== 'revealing')) return [];
      const known = toldOf(connection, `${round} ${attempt}`);
      const pieces: WorkPiece[] = [];
      const add = (from: number, listed: Uint8Array, drawn: JudgedView[]): void =>
        void pieces.push({ type: 'work', round, attempt, from, listed, drawn });
      const list = listOf(run, known.round);
      const piece_bytes = WORK_LIMITS.entries * WORK_LIMITS.entry_bytes;
      for (let at = 0; !known.listed && at < list.length; at += piece_bytes) {
        add(at / WORK_LIMITS.entry_bytes, list.subarray(at, at + piece_bytes), []);
      }
      known.listed = true;
      const end = list.length / WORK_LIMITS.entry_bytes;
      for (const drawn of packed(changedFor(run, connection, known))) add(end, new Uint8Array(), drawn);
      return pieces.map(encodeMessage);
    },
  };
}

/** The submissions that a validator judges, has judged or watches, and of which it does not know how they stand now. */
function changedFor(run: RunState, { peer, watches }: Judging, { drawn }: Told): JudgedView[] {
  const changed: JudgedView[] = [];
  let place = 0;
  for (const submission of run.submissions.values()) {
    const { id, worker, judges } = submission;
    const here = place++;
    // Who was replaced is told so.
    if (!judges.includes(peer!) && worker !== watches && !drawn.has(id)) continue;
    const stands = standingOf(submission, peer!);
    if (drawn.get(id) === stands) continue;
    drawn.set(id, stands);
    const view = submissionView(run, submission);
    const isOwn = (judge: string): boolean => judge === peer;
    changed.push({ ...view, sealed: view.sealed.filter(isOwn), shown: view.shown.filter(isOwn), place: here });
  }
  return changed;
}

/** What may change of a submission while it is judged, as far as one judge needs it. */
const standingOf = ({ judges, first, seals, verdicts }: Submission, judge: string): string =>
  `${first !== null} ${seals.has(judge)} ${verdicts.has(judge)} ${judges.join(' ')}`;

/** Divides views among messages, as far as they fit. */
function packed(views: readonly JudgedView[]): JudgedView[][] {
  const pieces: JudgedView[][] = [];
  let room = 0;
  for (const view of views) {
    const bytes = VIEW_BYTES.least + VIEW_BYTES.judge * view.judges.length;
    if (bytes > room) {
      pieces.push([]);
      room = PIECE_BYTES;
    }
    pieces.at(-1)!.push(view);
    room -= bytes;
  }
  return pieces;
}
