// Who judges what and what comes of it: judges are drawn by the round's seed, verdicts are sealed before anybody shows one
// (commit and reveal), and the stake behind them decides.
import { hexToBytes } from '@noble/hashes/utils.js';
import { sha256, sha256Hex } from '../protocol/hash.ts';
import { verifySignature } from '../protocol/identity.ts';
import { encodeStrict } from '../protocol/strict-cbor-encode.ts';
import type { DrawAnnounced, PlantRevealed, VerdictGiven, VerdictSealed } from './events.ts';
import { reexecutionPermille } from './reexecution.ts';
import { type Refusal, refuse } from './refusal.ts';
import type { NetworkState, PeerState, RunState, Submission } from './state.ts';
import { accountOf } from './state.ts';
import { verdictStakes } from './verdict-stakes.ts';

/** What a seal hides: the whole verdict, bound to its author, so that a copy of the seal opens to nothing. */
export function sealOf(validator: string, verdict: VerdictGiven): string {
  return sha256Hex(encodeStrict(['potluck-verdict-v1', validator, verdict]));
}

/** The pledge of a planted submission: what validators should say of it, hidden until its owner opens it. */
export function pledgeOf(owner: string, salt: string, accepted: boolean): string {
  return sha256Hex(encodeStrict(['potluck-plant-v1', owner, salt, accepted]));
}

/**
 * Draws the judges of a worker's submission among the validators who are here: the order follows from the round's seed, so
 * neither side can choose the other. An account's second device comes after everybody's first, so that nobody has more of a
 * say by joining more often; validators of the worker's own account come last.
 */
export function drawJudges(state: NetworkState, run: RunState, worker: string): string[] {
  const account = accountOf(state, worker);
  // Nothing to draw where everybody judges everything.
  if (run.validators.length <= run.rules.judges) return [...run.validators];
  const drawn = run.validators
    .map((id) => ({ id, account: accountOf(state, id), draw: sha256Hex(encodeStrict([run.seed, worker, id])) }))
    .sort((a, b) => (a.draw < b.draw ? -1 : 1));
  const devices = new Map<string, number>();
  return drawn
    .map((entry) => {
      const turn = devices.get(entry.account) ?? 0;
      devices.set(entry.account, turn + 1);
      return { ...entry, turn: entry.account === account ? Number.POSITIVE_INFINITY : turn };
    })
    .sort((a, b) => (a.turn === b.turn ? 0 : a.turn - b.turn)) // stable: by the draw among those whose turn is the same
    .slice(0, run.rules.judges)
    .map(({ id }) => id)
    .sort();
}

/** Judges that have not sealed follow who is here: whoever left is replaced, whoever came takes a free place. */
export function redrawJudges(state: NetworkState, run: RunState): void {
  if (run.phase !== 'working' && run.phase !== 'judging') return;
  for (const submission of run.submissions.values()) {
    const sealed = [...submission.seals.keys()];
    const free = drawJudges(state, run, submission.worker)
      .filter((id) => !submission.seals.has(id))
      .slice(0, Math.max(0, run.rules.judges - sealed.length));
    submission.judges = [...sealed, ...free].sort();
  }
}

/** The first of a submission's judges, by the round's seed: not always the same one. */
export function firstJudge(seed: string, worker: string, judges: readonly string[]): string | undefined {
  const draw = sha256(encodeStrict(['potluck-first-judge-v1', seed, worker]));
  return judges[new DataView(draw.buffer).getUint32(0) % Math.max(1, judges.length)];
}

/** What a first judge signs for its draw. */
export function drawMessage(submission: string): Uint8Array {
  return new TextEncoder().encode(`potluck-draw-v1\n${submission}`);
}

/** The number from 0 to 999 in a draw. */
export function drawOf(signature: Uint8Array): number {
  return new DataView(sha256(signature).buffer).getUint32(0) % 1000;
}

/** Whether the first judge may announce this draw. */
export function refusalOfDraw(run: RunState, author: string, body: DrawAnnounced): Refusal | null {
  const known = refusalOfJudge(run, author, body.submission);
  if (known) return known;
  const { worker, judges, draw_permille } = run.submissions.get(body.submission)!;
  if (draw_permille !== null) return refuse('already-judged', `the draw for ${body.submission} is known`);
  if (firstJudge(run.seed, worker, judges) !== author) {
    return refuse('not-assigned', `${author} is not the first judge of ${body.submission}`);
  }
  const signature = hexToBytes(body.signature);
  if (!verifySignature(author, drawMessage(body.submission), signature)) {
    return refuse('bad-verdict', `the draw for ${body.submission} is not its judge's signature`);
  }
  const { reexecute_permille, probation } = run.rules;
  const permille = reexecutionPermille(run.peers.get(worker)!, reexecute_permille, probation);
  if (!body.alarm || drawOf(signature) < permille) return null;
  return refuse('bad-verdict', `no alarm without a draw: expected one below ${permille}, got ${drawOf(signature)}`);
}

/** To be called only when `refusalOfDraw` said null. */
export function applyDraw(submission: Submission, { signature, alarm }: DrawAnnounced): void {
  submission.draw_permille = drawOf(hexToBytes(signature));
  submission.alarm = alarm;
}

/** Whether a validator may seal a verdict now. */
export function refusalOfSeal(run: RunState, author: string, body: VerdictSealed): Refusal | null {
  const known = refusalOfJudge(run, author, body.submission);
  if (known) return known;
  const { judges, seals } = run.submissions.get(body.submission)!;
  if (seals.has(author)) return refuse('already-judged', `${author} has judged ${body.submission}`);
  if (!judges.includes(author)) return refuse('not-assigned', `${author} was not drawn to judge ${body.submission}`);
  if (run.phase !== 'working' && run.phase !== 'judging') {
    return refuse('wrong-phase', `verdicts are sealed while a round is working or judging, the run is ${run.phase}`);
  }
  return null;
}

/** Whether a validator may show a verdict now: only the one that it sealed. */
export function refusalOfVerdict(run: RunState, author: string, body: VerdictGiven): Refusal | null {
  const known = refusalOfJudge(run, author, body.submission);
  if (known) return known;
  const submission = run.submissions.get(body.submission)!;
  if (submission.verdicts.has(author)) return refuse('already-judged', `${author} has judged ${body.submission}`);
  if (run.phase !== 'revealing') {
    return refuse('wrong-phase', `verdicts are shown when all are sealed, the run is ${run.phase}`);
  }
  const seal = submission.seals.get(author);
  if (seal === undefined) return refuse('not-sealed', `${author} has sealed no verdict on ${body.submission}`);
  const found = sealOf(author, body);
  if (found !== seal) return refuse('wrong-seal', `expected the verdict whose seal is ${seal}, got one with ${found}`);
  if (body.weight > submission.body.tokens) {
    return refuse('bad-verdict', `weight: at most the ${submission.body.tokens} tokens claimed, got ${body.weight}`);
  }
  if (body.accepted !== body.weight > 0 || (body.accepted && body.fraud)) {
    return refuse('bad-verdict', 'accepted work has a weight and is no fraud; refused work has none');
  }
  return null;
}

function refusalOfJudge(run: RunState, author: string, id: string): Refusal | null {
  if (run.peers.get(author)?.role !== 'validator')
    return refuse('not-a-validator', `${author} is not a validator here`);
  return run.submissions.has(id) ? null : refuse('unknown-submission', `no submission ${id} in the open round`);
}

/** Whether the owner may say now that a submission was planted. */
export function refusalOfPlant(run: RunState, author: string, body: PlantRevealed): Refusal | null {
  if (author !== run.owner) return refuse('not-the-owner', `only the owner ${run.owner} may do this, got ${author}`);
  const judged = run.last_judged.get(body.submission);
  if (!judged) {
    return refuse('unknown-submission', `no submission ${body.submission} in the round that was merged last`);
  }
  if (judged.pledge !== pledgeOf(author, body.salt, body.accepted)) {
    return refuse('wrong-seal', `the pledge ${judged.pledge} of ${body.submission} opens to something else`);
  }
  return null;
}

export type Judgement = 'accepted' | 'refused' | 'fraud' | 'none';

/** What the stake behind the verdicts says: more than half of it accepts, or finds fraud; a tie refuses. */
export function judgementOf(state: NetworkState, run: RunState, { verdicts }: Submission): Judgement {
  if (verdicts.size === 0) return 'none';
  const sum = { all: 0n, accepted: 0n, fraud: 0n };
  const stakes = verdictStakes(state, run, [...verdicts.keys()]);
  for (const [validator, verdict] of verdicts) {
    const stake = stakes.get(validator)!;
    sum.all += stake;
    if (verdict.accepted) sum.accepted += stake;
    if (verdict.fraud) sum.fraud += stake;
  }
  if (sum.accepted * 2n > sum.all) return 'accepted';
  return sum.fraud * 2n > sum.all ? 'fraud' : 'refused';
}

/**
 * The submissions that the round's merge must take, in canonical order (by event id), with their weights (inner steps).
 * Where a validator gave a verdict in this round, verdicts decide and work without one is left out. Where none did, because
 * none is here or because those who are stay silent, the work is merged but earns nothing: a silent validator delays a run,
 * it does not stop it.
 */
export function acceptedSubmissions(
  state: NetworkState,
  run: RunState,
): { submission: Submission; verified: boolean }[] {
  const judged = [...run.submissions.values()].some(({ verdicts }) => verdicts.size > 0);
  return [...run.submissions.values()]
    .map((submission) => ({ submission, judgement: judgementOf(state, run, submission) }))
    .filter(({ judgement }) => judgement === 'accepted' || (judgement === 'none' && !judged))
    .map(({ submission, judgement }) => ({ submission, verified: judgement === 'accepted' }))
    .sort((a, b) => (a.submission.id < b.submission.id ? -1 : 1));
}

/** Remembers who said what of the round that is being merged, for plants that are revealed after it. */
export function rememberVerdicts(run: RunState): void {
  run.last_judged = new Map(
    [...run.submissions.values()].map(({ id, body, verdicts }) => [
      id,
      { pledge: body.pledge, verdicts: new Map([...verdicts].map(([judge, { accepted }]) => [judge, accepted])) },
    ]),
  );
}

/** Validators who misjudged a planted submission; it is forgotten, so that nobody is punished twice. */
export function openPlant(
  run: RunState,
  body: PlantRevealed,
): { readonly right: PeerState[]; readonly wrong: PeerState[] } {
  const { verdicts } = run.last_judged.get(body.submission)!;
  run.last_judged.delete(body.submission);
  const peersWho = (right: boolean): PeerState[] =>
    [...verdicts].filter(([, said]) => (said === body.accepted) === right).map(([id]) => run.peers.get(id)!);
  return { right: peersWho(true), wrong: peersWho(false) };
}
