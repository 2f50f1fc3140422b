// The results of submitted work, read from the public log, from the work's own index onwards, every event with its signature.

import { openHead } from '../../audit/public-log.ts';
import { decodeEvent } from '../../core/codec.ts';
import { isMerged, MembershipSchema, type MergedList } from '../../core/rounds/merged-list.ts';
import { CodedError } from '../../errors.ts';
import { MAX_ENTRY_BYTES } from '../../ledger/log-store.ts';
import { MAX_NOTE_BYTES } from '../../ledger/signed-note.ts';
import { decodeEntryBundle, entriesPath, TILE_WIDTH } from '../../ledger/tiles.ts';
import { areSignedByAuthor } from '../../protocol/envelope.ts';
import { openLine } from '../../protocol/line.ts';
import type { HandedIn } from './state.ts';

const SILENCE_MS = 10_000;
/** Two entries with the longest proofs, as JSON. */
const MAX_PROOF_BYTES = 8192;

export interface VerdictReader {
  /** Submitted work to follow until its round is merged. */
  add(work: HandedIn): void;
  /** Reads the new part of the log; parallel calls share one reading. Never rejects: the next call tries again. */
  look(): Promise<void>;
  readonly works: readonly HandedIn[];
}

/**
 * Follows submissions in the log that a hub signs. `onChange` is called when something new is known.
 * @param earlier submissions of other visits without a known result
 */
export function readVerdicts(
  url: string,
  hub: string,
  most: number,
  earlier: readonly HandedIn[],
  onChange: () => void,
): VerdictReader {
  let works: HandedIn[] = [...earlier];
  let next = Math.min(Number.POSITIVE_INFINITY, ...earlier.map(({ index }) => index));
  let reading: Promise<void> | null = null;
  /** Works whose rounds were merged, before the hub has shown whether with them. */
  const decided = new Map<string, MergedList>();

  const read = async (): Promise<void> => {
    if (!works.some(({ outcome }) => outcome === 'open') && decided.size === 0) return;
    const note = new TextDecoder().decode(await get(`${url}/log/checkpoint`, MAX_NOTE_BYTES));
    const { size } = openHead(note, hub).head;
    while (next < size) {
      const first = next - (next % TILE_WIDTH);
      const count = Math.min(TILE_WIDTH, size - first);
      const bundle = await get(`${url}/log/${entriesPath(first / TILE_WIDTH, count)}`, count * (2 + MAX_ENTRY_BYTES));
      const entries = decodeEntryBundle(bundle, count);
      const fresh = entries.slice(next - first);
      const signed = await areSignedByAuthor(fresh);
      for (const [i, entry] of fresh.entries()) {
        if (!signed[i]) return; // the log is invalid; accusing the hub is the auditor's task
        works = works.map((work) => afterEvent(work, entry, hub, decided));
      }
      next = first + count;
    }
    for (const work of works) {
      const list = decided.get(work.submission);
      if (!list) continue;
      const outcome = await outcomeIn(url, list, work);
      works = works.map((other) => (other.submission === work.submission ? { ...other, outcome } : other));
      decided.delete(work.submission);
    }
    onChange();
  };

  return {
    add(work) {
      const waiting = works.some(({ outcome }) => outcome === 'open');
      next = waiting ? Math.min(next, work.index) : work.index;
      works = [...works.slice(1 - most), work];
      onChange();
    },
    look() {
      reading ??= read()
        .catch((error) => {
          // The hub is unreachable, or its log has another form.
          if (!(error instanceof CodedError || error instanceof TypeError || error instanceof DOMException))
            throw error;
        })
        .finally(() => {
          reading = null;
        });
      return reading;
    },
    get works() {
      return works;
    },
  };
}

/**
 * A submission after one more event. Invalid events, and those signed by the wrong author, change nothing. A merge that may have taken it is
 * put into `decided`.
 */
function afterEvent(work: HandedIn, entry: Uint8Array, hub: string, decided: Map<string, MergedList>): HandedIn {
  if (work.outcome !== 'open') return work;
  const { author, body } = decodeEvent(entry, { verify_signature: false }); // the signatures were verified together
  if (body.type === 'verdict.given' && body.submission === work.submission) {
    const { accepted, code, score_micro } = body;
    const others = work.verdicts.filter(({ validator }) => validator !== author); // an event may be read twice
    return { ...work, verdicts: [...others, { validator: author, accepted, code, score_micro }] };
  }
  if (body.type === 'round.merged' && author === hub && body.run === work.run && body.round >= work.round) {
    if (body.round > work.round || body.accepted_count === 0) return { ...work, outcome: 'dropped' };
    decided.set(work.submission, body);
    return { ...work, outcome: 'decided' };
  }
  return work;
}

/** Whether a merge took a work, by the hub's proof; `decided` where the hub has none, or none that proves it. */
async function outcomeIn(
  url: string,
  list: MergedList,
  { run, round, submission }: HandedIn,
): Promise<HandedIn['outcome']> {
  const { status, bytes } = await ask(`${url}/runs/${run}/rounds/${round}/works/${submission}`, MAX_PROOF_BYTES);
  if (status !== 200) return 'decided';
  const proof = MembershipSchema.safeParse(JSON.parse(new TextDecoder().decode(bytes)));
  const merged = proof.success ? isMerged(list, submission, proof.data) : null;
  return merged === null ? 'decided' : merged ? 'merged' : 'dropped';
}

async function get(address: string, limit_bytes: number): Promise<Uint8Array> {
  const { status, bytes } = await ask(address, limit_bytes);
  if (status !== 200) throw new TypeError(`${address} answered ${status}`);
  return bytes;
}

const ask = (address: string, limit_bytes: number) =>
  openLine({ attempts: 1, silence_ms: SILENCE_MS }).ask({ url: address, max_bytes: limit_bytes });
