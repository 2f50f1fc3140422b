// The demo's picture in the terminal: pure text from a status.
import { styleText } from 'node:util';
import { formatDuration } from '../protocol/duration.ts';
import type { PeerView, RunStatus } from '../protocol/messages.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { formatBytes, formatCount } from './output.ts';
import { clip, columnsOf, padTo } from './text-columns.ts';

const SPARKS = '▁▂▃▄▅▆▇█';
const LABEL_COLUMNS = 10;
const STATE_COLUMNS = 13;
const LONGEST_NAME = 20;
/** In a narrower terminal, the less important parts are left out. */
const ROOMY_COLUMNS = 76;

/** One measurement: validation loss after so many merged rounds. */
export interface LossPoint {
  readonly merged_rounds: number;
  readonly loss: number;
}

/** The input of the picture. */
export interface Picture {
  readonly run: RunStatus;
  readonly losses: readonly LossPoint[];
  /** How many steps a worker does at most in a round. */
  readonly steps: number;
  /** Peers that were started, including those that the hub does not know yet, in the order of display. */
  readonly expected: readonly string[];
  /** How long the rest takes at the current pace; null where that is not known yet. */
  readonly time_left_ms: number | null;
  readonly columns: number;
  readonly rows: number;
}

/** A bar of `columns` cells, `part` of them full. */
export function bar(part: number, columns: number): string {
  const full = Math.round(Math.min(1, Math.max(0, part)) * columns);
  return '█'.repeat(full) + '░'.repeat(columns - full);
}

/** Values as a row of small columns; the newest `columns` of them. */
export function sparkline(values: readonly number[], columns: number): string {
  const shown = values.slice(-columns);
  const low = Math.min(...shown);
  const range = Math.max(...shown) - low || 1;
  return shown.map((value) => SPARKS[Math.round(((value - low) / range) * (SPARKS.length - 1))]).join('');
}

/**
 * Smooths figures: shows the last speed while nobody works, and the remaining time at the average pace
 * of the rounds so far.
 */
export function paceOf(): (run: RunStatus, now_ms: number) => { run: RunStatus; time_left_ms: number | null } {
  let speed = 0;
  let first: { round: number; now_ms: number } | null = null;
  let last = { round: 0, now_ms: 0, ms_a_round: 0 };
  return (run, now_ms) => {
    if (run.amount_per_second > 0) speed = run.amount_per_second;
    if (!first && run.phase !== 'gathering') first = { round: run.round, now_ms };
    if (first && run.round > Math.max(first.round, last.round)) {
      last = { round: run.round, now_ms, ms_a_round: (now_ms - first.now_ms) / (run.round - first.round) };
    }
    const ahead_ms = (run.rounds - last.round) * last.ms_a_round - (now_ms - last.now_ms);
    return {
      run: { ...run, amount_per_second: speed },
      time_left_ms: last.ms_a_round > 0 ? Math.max(0, ahead_ms) : null,
    };
  };
}

const dim = (text: string): string => styleText('dim', text);
const bold = (text: string): string => styleText('bold', text);
const label = (text: string): string => dim(text.padEnd(LABEL_COLUMNS));
const between = (low: number, value: number, high: number): number => Math.max(low, Math.min(high, value));

/** The picture of a run, line by line: none wider than the terminal, and not more lines than fit. */
export function renderRun(picture: Picture): string[] {
  const { run, columns, rows } = picture;
  const lines = [
    `${bold(nameOf(run.name))}  ${dim(`run ${run.run.slice(0, 12)}`)}`,
    '',
    roundsLine(picture),
    lossLine(picture),
    `${label('speed')}${formatCount(run.amount_per_second)} ${nameOf(run.unit)}/s${dim(`, ${formatCount(run.merged_amount)} ${nameOf(run.unit)} merged`)}`,
    sentLine(run),
    '',
  ];
  const peers = peerLines(picture);
  const room = Math.max(1, rows - 1 - lines.length);
  const shown = peers.length <= room ? peers : peers.slice(0, room - 1);
  if (shown.length < peers.length) shown.push(dim(`… and ${peers.length - shown.length} more`));
  return [...lines, ...shown].slice(0, Math.max(1, rows - 1)).map((line) => clip(line, columns));
}

function roundsLine({ run, time_left_ms, columns }: Picture): string {
  const left = time_left_ms === null || run.phase === 'finished' ? '' : `about ${formatDuration(time_left_ms)} left`;
  const width = between(10, columns - 50, 60);
  return `${label('rounds')}${bar(run.round / run.rounds, width)} ${run.round} of ${run.rounds}  ${dim(phaseOf(run, left))}`;
}

function phaseOf(run: RunStatus, left: string): string {
  if (run.phase !== 'gathering' || run.round > 0) return left || run.phase;
  const here = run.peers.filter((peer) => peer.present && peer.role === 'worker').length;
  return `waiting for workers, ${here} here`;
}

function lossLine({ losses, columns }: Picture): string {
  const first = losses.at(0);
  const last = losses.at(-1);
  if (!first || !last) return `${label('loss')}${dim('the validator measures it first')}`;
  if (losses.length === 1) return `${label('loss')}${first.loss.toFixed(3)}  ${dim('before the first round')}`;
  const values = losses.map((point) => point.loss);
  const sparks = styleText('cyan', sparkline(values, between(8, columns - 56, 60)));
  return `${label('loss')}${first.loss.toFixed(3)} ${sparks} ${bold(last.loss.toFixed(3))}  ${dim('on text that nobody trains on')}`;
}

function sentLine({ bytes_submitted, dense_bytes }: RunStatus): string {
  if (bytes_submitted === 0) return `${label('sent')}${dim('nothing yet')}`;
  const ratio = `${(dense_bytes / bytes_submitted).toFixed(0)}x less`;
  return `${label('sent')}${formatBytes(bytes_submitted)}  ${bold(ratio)} ${dim(`than ${formatBytes(dense_bytes)} of dense float32`)}`;
}

/** One line per peer: those that were started in their order, then all others. */
function peerLines(picture: Picture): string[] {
  const { run, expected } = picture;
  const rankOf = (name: string): number => (expected.includes(name) ? expected.indexOf(name) : expected.length);
  const known = run.peers.map((peer) => ({ ...peer, name: nameOf(peer.name) }));
  const missing = expected.filter((name) => !known.some((peer) => peer.name === name));
  const entries: { name: string; peer: PeerView | null }[] = [
    ...known.map((peer) => ({ name: peer.name, peer })),
    ...missing.map((name) => ({ name, peer: null })),
  ].sort((a, b) => rankOf(a.name) - rankOf(b.name));
  const widest = Math.max(...entries.map(({ name }) => columnsOf(name)), 0);
  const width = Math.min(LONGEST_NAME, Math.max(LABEL_COLUMNS - 2, widest)) + 2;
  const credited = run.peers.reduce((sum, peer) => sum + peer.credit_amount, 0);
  return entries.map(({ name, peer }) => padTo(clip(name, width - 2), width) + renderPeer(peer, credited, picture));
}

function renderPeer(peer: PeerView | null, credited: number, { run, steps, columns }: Picture): string {
  if (!peer) return dim('starting');
  const share =
    credited > 0 && peer.role === 'worker' ? `share ${((100 * peer.credit_amount) / credited).toFixed(0)} %` : '';
  // A peer that leaves a finished run has done its part.
  if (!peer.present && run.phase === 'finished') return `${'done'.padEnd(STATE_COLUMNS)}${dim(share)}`;
  if (!peer.present) return `${styleText('red', 'away'.padEnd(STATE_COLUMNS))}${dim(share)}`;
  const roomy = columns >= ROOMY_COLUMNS;
  const state = peer.progress?.state ?? 'waiting';
  const doing = state === 'waiting' ? dim(state.padEnd(STATE_COLUMNS)) : state.padEnd(STATE_COLUMNS);
  if (peer.role === 'validator') return `${doing}${dim("checks everybody's work")}`;
  const working = state === 'working';
  const done = working ? (peer.progress!.numbers.steps ?? 0) : state === 'sending' ? steps : 0;
  const counted = (working ? `${done}/${steps}` : '').padEnd(8);
  const speed = working ? `${formatCount(peer.progress!.amount_per_second)} ${nameOf(run.unit)}/s` : '';
  // In stages a worker's speed is the others' as well.
  const told = (peer.stage === undefined ? speed : `stage ${peer.stage + 1} of ${run.stages}`).padEnd(16);
  const progress = bar(done / steps, roomy ? 16 : 8);
  return `${doing}${done > 0 ? progress : dim(progress)} ${counted}${roomy ? told : ''}${dim(share)}`;
}
