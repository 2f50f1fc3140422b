// Who judges a piece of work, and who repeats it: drawn by stake from what the hub's verifiable random function (RFC 9381) gives for the
// round. The function's input is fixed before anybody works and its output is shown when the list of work is closed: workers and
// validators cannot foresee it, and the hub, which can, cannot choose it.
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { verifyVrf, vrfOutput } from '../../protocol/ecvrf.ts';
import { sha256Hex } from '../../protocol/hash.ts';
import { publicKeyOf } from '../../protocol/identity.ts';
import { encodeStrict, hashOfStrict } from '../../protocol/strict-cbor-encode.ts';
import type { RoundDrawn } from '../events/round-drawn.ts';
import { CORE_LIMITS } from '../limits.ts';
import { type Refusal, refuse } from '../refusal.ts';
import type { Known, NetworkState, RunState, Submission } from '../state.ts';
import { accountOf } from '../state.ts';
import { countOwed } from './attendance.ts';
import { eligibleHere, heardHere, noteSilent } from './eligible.ts';
import { bondPermille, type RepeatRules, repeatersPermille, type Standing } from './re-execution.ts';
import { verdictStakes } from './verdict-stakes.ts';

/** What a hub writes when the work of a round is in; `prove` is its key's function, as of RFC 9381. */
export function roundDrawn(
  { id: run, round, attempt }: RunState,
  prove: (input: Uint8Array) => Uint8Array,
): RoundDrawn {
  const proof = bytesToHex(prove(drawInput({ run, round, attempt })));
  return { type: 'round.drawn', version: 1, run, round, attempt, proof };
}

/** What the hub's function is asked for a round. Nothing in it can be chosen once the run is there. */
function drawInput({ run, round, attempt }: Pick<RoundDrawn, 'run' | 'round' | 'attempt'>): Uint8Array {
  return encodeStrict(['potluck-round-draw-v1', run, round, attempt]);
}

/** Whether anything is to be judged by anybody. */
const needsDraw = (run: RunState): boolean => run.submissions.size > 0 && run.eligible.length > 0;

/** Whether the work of the open round is over: the hub closes the list, and shows what it had to draw. */
export function awaitsDraw(run: RunState, time_ms: number): boolean {
  return run.phase === 'judging' && run.draw === null && needsDraw(run) && isListComplete(run, time_ms);
}

/** Whether nobody's work is waited for any more: all who are here have handed in, or the grace is over. */
export function isListComplete({ attendance, grace_deadline_ms }: RunState, time_ms: number): boolean {
  return attendance.handed_in === attendance.workers || (grace_deadline_ms > 0 && time_ms >= grace_deadline_ms);
}

/** Whether work is still taken while a round is in its phase of judging. */
export const isListOpen = (run: RunState): boolean => run.draw === null;

export function refusalOfDrawn(state: NetworkState, run: RunState, body: RoundDrawn): Refusal | null {
  if (body.round !== run.round || body.attempt !== run.attempt) {
    const got = `round ${body.round} attempt ${body.attempt}`;
    return refuse('wrong-round', `expected round ${run.round} attempt ${run.attempt}, got ${got}`);
  }
  if (run.phase !== 'judging' || run.draw !== null || !needsDraw(run)) {
    return refuse('wrong-phase', `a round is drawn once, when its work is in; the run is ${run.phase}`);
  }
  if (!isListComplete(run, state.time_ms)) return refuse('too-soon', 'somebody may still hand in');
  const holds = verifyVrf(publicKeyOf(state.hub), drawInput(body), hexToBytes(body.proof)) !== null;
  return holds ? null : refuse('wrong-draw', "the proof is not that of the hub's key for this round");
}

/** Closes the list and seats the judges; to be called only when `refusalOfDrawn` said null. */
export function applyDrawn(state: NetworkState, run: RunState, body: RoundDrawn): void {
  run.draw = sha256Hex(vrfOutput(hexToBytes(body.proof)));
  run.judging_deadline_ms = 0;
  const next = openDraw(state, run);
  for (const submission of run.submissions.values()) {
    submission.judges = next(submission, run.rules.judges).sort();
    noteDuties(run, submission);
  }
  countOwed(run);
}

/** The next judges of a submission: as many as asked for, where so many are here and not `taken`. */
type NextJudges = (submission: Pick<Submission, 'worker'>, count: number, taken?: readonly string[]) => string[];

/** Who of `among` judges, in the order of the draw: accounts by their stake, second devices after everybody's first, the worker's own account last. */
export function openDraw(state: NetworkState, run: RunState, among: readonly string[] = eligibleHere(run)): NextJudges {
  const stakes = verdictStakes(state, run, run.eligible);
  const here = new Set(among);
  const accounts = new Map<string, { readonly devices: string[]; stake: bigint }>();
  for (const id of run.eligible) {
    const account = accountOf(state, id);
    const known = accounts.get(account) ?? { devices: [], stake: 0n };
    known.devices.push(id);
    known.stake += stakes.get(id)!;
    accounts.set(account, known);
  }
  return ({ worker }, count, taken = []) => {
    const own = accountOf(state, worker);
    const isFree = (id: string): boolean => here.has(id) && !taken.includes(id);
    const found: string[] = [];
    let draws = 0;
    /** What is drawn next; where there is one choice it is counted, but need not be known. */
    const number = (choices: number): bigint => {
      const draw = draws++;
      return choices === 1 ? 0n : BigInt(`0x${hashOfStrict(['potluck-panel-v1', run.draw, worker, draw])}`);
    };
    let turn = [...accounts].filter(([account]) => account !== own).map(([, entry]) => entry);
    while (turn.length > 0 && found.length < count) {
      const next: typeof turn = [];
      while (turn.length > 0 && found.length < count) {
        const { devices, stake } = turn.splice(drawByStake(turn, number(turn.length)), 1)[0];
        const device = devices[Number(number(devices.length) % BigInt(devices.length))];
        const others = devices.filter((id) => id !== device);
        if (others.length > 0) next.push({ devices: others, stake });
        if (isFree(device)) found.push(device);
      }
      turn = next;
    }
    const last = (accounts.get(own)?.devices ?? []).filter(isFree);
    return [...found, ...last.slice(0, count - found.length)];
  };
}

/** The place that a number falls on, each as wide as its stake. */
function drawByStake(entries: readonly { readonly stake: bigint }[], number: bigint): number {
  const all = entries.reduce((sum, { stake }) => sum + stake, 0n);
  let left = all > 0n ? number % all : 0n;
  return Math.max(
    0,
    entries.findIndex(({ stake }) => {
      left -= stake;
      return left < 0n;
    }),
  );
}

/** What decides how much of somebody's work is repeated in a round, and by whom. */
export interface Repeatable extends Standing, RepeatRules {
  readonly draw: string;
  readonly worker: string;
  /** The judges that it has now. */
  readonly judges: readonly string[];
  /** All judges repeat what is appealed. */
  readonly appealed: boolean;
}

/** A judge's part in a check. */
export interface Duty {
  /** How much of the work it repeats, in thousandths from its beginning; 0: nothing. */
  readonly repeat_permille: number;
  /** Whether it looks at the work, where looking costs something: one of the judges does, drawn like everything else. */
  readonly looks: boolean;
  /** From 0 to below 1: a place in the work that nobody knew before, another one for each judge. */
  readonly place: number;
}

/**
 * What a judge has to do for a submission: what is appealed, and a newcomer's first, everybody repeats; of other work the first in an order
 * that is drawn, as often as the worker's bond asks for. In half of the cases in which one is enough it repeats a beginning whose length is
 * drawn: whoever does a part of the steps gains only the rest, which such beginnings find as often as it is large. The last in that order looks:
 * another one than repeats, where there is another, so that no friend of a worker keeps both from it.
 */
export function dutyOf(work: Repeatable, judge: string): Duty {
  const { draw, worker } = work;
  return {
    repeat_permille: repeatedPermille(work, judge),
    looks: looksAt(work, judge),
    place: drawn('place', draw, worker, judge) / 2 ** 32,
  };
}

const looksAt = (work: Repeatable, judge: string): boolean => inDrawnOrder(work, work.judges).at(-1) === judge;

function repeatedPermille(work: Repeatable, judge: string): number {
  const { draw, worker, judges, appealed } = work;
  const repeaters = repeatersPermille(work, work);
  if (appealed || repeaters === null) return 1000;
  const number = drawn('repeat', draw, worker) % 1000;
  const place = inDrawnOrder(work, judges).indexOf(judge);
  if (place < 0 || number + 1000 * place >= repeaters) return 0;
  if (repeaters >= 1000 || drawn('whole', draw, worker) % 2 === 0) return 1000;
  return 1 + (drawn('part', draw, worker) % 1000);
}

function inDrawnOrder({ draw, worker }: Repeatable, judges: readonly string[]): string[] {
  const places = new Map(judges.map((judge) => [judge, drawn('order', draw, worker, judge)]));
  return judges.toSorted((a, b) => places.get(a)! - places.get(b)! || (a < b ? -1 : 1));
}

/** 32 bits that follow from the draw, for one use each. */
function drawn(use: 'repeat' | 'whole' | 'part' | 'order' | 'place', ...of: readonly string[]): number {
  return Number.parseInt(hashOfStrict(['potluck-duty-v1', use, ...of]).slice(0, 8), 16);
}

/** `Repeatable` of a submission of an open round. */
export function repeatableOf(run: RunState, { worker, body, judges, first }: Submission): Repeatable {
  const { reexecute_permille, probation } = run.rules;
  const { consecutive_valid } = run.peers.get(worker)!;
  const bond_permille = bondPermille(run, worker, body.amount);
  return {
    ...{ draw: run.draw!, worker, judges, appealed: first !== null },
    ...{ consecutive_valid, bond_permille, reexecute_permille, probation },
  };
}

/**
 * Seats judges anew where somebody has come, gone or kept silent: who has left without a verdict makes room, and the next in the order of
 * the draw take free places, of those who are not silent themselves. What is owed is to be counted afterwards. `silent`: who is here and has sealed nothing makes room as well, as far as somebody takes the place.
 */
export function reseatJudges(state: NetworkState, run: RunState, silent: boolean): void {
  if (run.phase !== 'judging' || run.draw === null) return;
  const idle = silent ? owing(run, ({ seals }, id) => !seals.has(id)) : [];
  const draw = openDraw(
    state,
    run,
    heardHere(run).filter((id) => !idle.includes(id)),
  );
  for (const submission of run.submissions.values()) {
    const { judges, seals, first } = submission;
    // While others are appealed, what was not is decided.
    if (run.appeals && first === null) continue;
    const kept = judges.filter((id) => seals.has(id) || run.validators.includes(id));
    const silentOnes = silent && first === null ? kept.filter((id) => !seals.has(id)) : [];
    const free = Math.max(0, (first === null ? run.rules.judges : CORE_LIMITS.jury) - kept.length);
    const next = draw(submission, free + silentOnes.length, judges);
    const replaced = silentOnes.slice(0, Math.max(0, next.length - free));
    submission.judges = [...kept.filter((id) => !replaced.includes(id)), ...next].sort();
    noteSilent(run, replaced);
    if (first === null) noteDuties(run, submission);
  }
}

/**
 * Somebody's duty follows from who else is seated, and others come and go while it checks: it answers only for what it was to do when it
 * was seated and still was when it sealed.
 */
function noteDuties(run: RunState, submission: Submission): void {
  const { judges, duties } = submission;
  for (const id of judges) if (!duties.has(id)) duties.set(id, knownBy(run, submission, id));
}

function knownBy(run: RunState, submission: Submission, judge: string): Known {
  const work = repeatableOf(run, submission);
  const repeated = repeatedPermille(work, judge);
  if (repeated === 1000) return 'all';
  return repeated > 0 || looksAt(work, judge) ? 'looks' : 'form';
}

const ORDER: readonly Known[] = ['form', 'looks', 'all'];
const lesser = (a: Known, b: Known): Known => (ORDER.indexOf(a) < ORDER.indexOf(b) ? a : b);

/** A judge seals a verdict. */
export function noteSeal(run: RunState, submission: Submission, judge: string, seal: string): void {
  const { first, duties, seals } = submission;
  seals.set(judge, seal);
  if (first === null) duties.set(judge, lesser(duties.get(judge)!, knownBy(run, submission, judge)));
}

/** Judges who are here and owe something of what is being judged. */
export function owing(run: RunState, owes: (submission: Submission, judge: string) => boolean): string[] {
  const judged = [...run.submissions.values()].filter(({ first }) => !run.appeals || first !== null);
  return run.validators.filter((id) => judged.some((work) => work.judges.includes(id) && owes(work, id)));
}
