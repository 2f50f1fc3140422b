// Generated histories: events drawn from the state, mostly such as may follow, now and then such as may not.
import { HASH_FORM, sha256Hex, utf8 } from '../../protocol/hash.ts';
import { type Random, seededRandom } from '../../protocol/random.ts';
import type { Measures } from '../events/fields.ts';
import type { RunCreated } from '../events/run-created.ts';
import type { VerdictGiven } from '../events/verdict-given.ts';
import type { WorkSubmitted } from '../events/work-submitted.ts';
import { type EventBody, EventBodySchema, type LoggedEvent } from '../events.ts';
import { mostAmount } from '../rounds/first-work.ts';
import { acceptedIds, pledgeOf, sealOf } from '../rounds/judging.ts';
import { mergedList } from '../rounds/merged-list.ts';
import { isCheckpoint } from '../rounds/merging.ts';
import { awaitsDraw } from '../rounds/panel.ts';
import { sessionOf } from '../rounds/presence.ts';
import { mayHalt } from '../rounds/worse-models.ts';
import type { Rules } from '../rules.ts';
import { balanceOf } from '../shares/balances.ts';
import { settleable, settlementRoot } from '../shares/settlement.ts';
import { mayStateShares, statementOf } from '../shares/share-table.ts';
import { nextStakeChange } from '../shares/stake.ts';
import { accountOf, type NetworkState, type Phase, type RunState, type Submission, workersNeeded } from '../state.ts';
import type { Cast } from './cast.ts';
import { drawMoney } from './drawn-answers.ts';
import { drawJudging } from './drawn-judging.ts';
import { drawMove } from './drawn-moves.ts';
import { drawRegistry } from './drawn-registry.ts';
import { drawnBy } from './example-draw.ts';
import { EXAMPLE_WORDS, exampleVerdict } from './example-events.ts';

/** What is drawn, and how often in each phase; what is not listed for a phase has the frequency under `always`. */
type What = keyof typeof SAYINGS;
const ALWAYS: readonly What[] = ['tick', 'join', 'leave', 'device', 'revoke', 'address', 'rules', 'join'];
const MONEY: readonly What[] = [
  ...([
    'lock',
    'lock',
    'release',
    'settle',
    'settle',
    'address',
    'plant',
    'plant',
    'rules',
    'evaluate',
    'owner',
  ] as const),
];
const BY_PHASE: Readonly<Record<Phase, readonly What[]>> = {
  gathering: ['open', 'open', 'open', 'state', 'join', 'halt', 'evaluate', 'lock'],
  working: ['work', 'work', 'work', 'work', 'work', 'work', 'work', 'draw', 'join', 'tick'],
  judging: ['draw', 'draw', 'draw', 'seal', 'seal', 'seal', 'seal', 'seal', 'seal', 'tick', 'work'],
  revealing: ['show', 'show', 'show', 'show', 'show', 'show', 'show', 'tick'],
  merging: ['merge', 'merge', 'merge', 'merge', 'merge', 'merge'],
  paused: ['owner', 'owner', 'owner', 'owner'],
  finished: ['state', 'run', 'run'],
};

/** What must come first where a run could otherwise not go on, or would never be halted; null for nothing. */
function due(run: RunState): What | null {
  if (run.phase !== 'gathering') return null;
  if (mayStateShares(run)) return 'state';
  if (run.attendance.workers < workersNeeded(run)) return 'join';
  if (mayHalt(run)) return 'halt';
  return run.spec.name === 'diverges' && unmeasured(run).length > 0 ? 'evaluate' : null;
}

/** Those who have not measured the current model; while models get worse, only those who saw it, because all who measure must. */
const unmeasured = ({ spec, validators, peers, watches, round }: RunState): string[] =>
  validators
    .filter((id) => peers.get(id)!.evaluated_rounds !== round)
    .filter((id) => spec.name !== 'diverges' || watches.size === 0 || watches.has(id));
/** One in so many events is one that must be refused. */
const WRONG_ONE_IN = 9;
/** Hashes of models and work; any will do. */
const SALT = 'a'.repeat(64);
/** One in so many events belongs to a contest, where there is anything to contest. */
const CONTEST_ONE_IN = 3;
/** One of so many events is about the money of answers. */
export const ANSWERS_EVERY = 7;
/** One of so many, beside those, is about the judging of answers. */
export const JUDGING_EVERY = 14;

/** Where the log follows a registry, the first and one of so many is about that. */
export const REGISTRY_EVERY = 6;

/** Where runs move, one of so many is about that, and every second while a run is paused. */
export const MOVES_EVERY = 11;

/** Everything that one event is drawn from. */
interface Scene {
  readonly cast: Cast;
  readonly state: NetworkState;
  readonly run: RunState;
  readonly below: (bound: number) => number;
  /** A hash that is not used yet. */
  readonly fresh: string;
}
type Said = readonly [author: string, body: EventBody] | null;

/** An endless source of events for a state that the caller applies them to. The same seed and answers give the same events. `moves`: runs leave, and one comes; `registry`: the log follows one. */
export function drawEvents(
  cast: Cast,
  state: NetworkState,
  seed: string | number,
  { moves = false, registry = false }: { readonly moves?: boolean; readonly registry?: boolean } = {},
): () => LoggedEvent {
  const random: Random = seededRandom('drawn events', seed);
  const below = (bound: number): number => random.below(bound);
  // A random stream of its own, so that contests do not change the rest of a history.
  const contests = seededRandom('drawn contests', seed);
  // As are the answers: every so many events one of them, with an id of its own.
  const answers = seededRandom('drawn answers', seed);
  const judging = seededRandom('drawn judging', seed);
  const moving = seededRandom('drawn moves', seed);
  const following = seededRandom('drawn registry', seed);
  let serial = 0;
  let events = 0;
  let calls = 0;
  return () => {
    calls++;
    if (registry && calls % REGISTRY_EVERY === 1) {
      const said = orWrong(
        { cast, state, below: following.below, fresh: sha256Hex(utf8(`${seed} registry`)) },
        drawRegistry(cast, state, following.below),
      );
      if (said) return { id: sha256Hex(utf8(`${seed} registry ${calls}`)), author: said[0], body: said[1] };
    }
    // A pause is short.
    const rests = moves && [...state.runs.values()].some(({ phase }) => phase === 'paused');
    if (moves && (calls % MOVES_EVERY === 0 || (rests && moving.below(2) === 0))) {
      const fresh = sha256Hex(utf8(`${seed} moves ${calls}`));
      const said = orWrong({ cast, state, below: moving.below, fresh }, drawMove(cast, state, fresh));
      if (said) return { id: fresh, author: said[0], body: said[1] };
    }
    if (calls % JUDGING_EVERY === 0) {
      const fresh = sha256Hex(utf8(`${seed} judging ${calls}`));
      const scene = { cast, state, below: judging.below, fresh };
      const said = orWrong(scene, drawJudging(cast, state, judging.below, fresh));
      if (said) return { id: fresh, author: said[0], body: said[1] };
    }
    if (++events % ANSWERS_EVERY === 0) {
      const fresh = sha256Hex(utf8(`${seed} answers ${events}`));
      const scene = { cast, state, below: answers.below, fresh };
      const said = orWrong(scene, drawMoney(cast, state, answers.below, fresh));
      if (said) return { id: fresh, author: said[0], body: said[1] };
    }
    for (;;) {
      const id = sha256Hex(utf8(`${seed} ${serial++}`));
      const run = [...state.runs.values()].at(-1);
      const contestable = run !== undefined && run.decided.size > 0 && contests.below(CONTEST_ONE_IN) === 0;
      const said = contestable
        ? drawContest({ cast, state, run, below: contests.below, fresh: id })
        : draw(cast, state, below, id);
      if (said) return { id, author: said[0], body: said[1] };
    }
  };
}

/** Now and then something that must be refused instead. */
const orWrong = (scene: Omit<Scene, 'run'>, said: Said): Said =>
  said && scene.below(WRONG_ONE_IN) === 0 ? wrong(scene, said) : said;

function draw(cast: Cast, state: NetworkState, below: Scene['below'], fresh: string): Said {
  const runs = [...state.runs.values()];
  const run = runs.at(-1 - (below(8) === 0 ? below(runs.length) : 0));
  if (!run) return [cast.owners[0], newRun({ cast, state, below, fresh })];
  const scene: Scene = { cast, state, run, below, fresh };
  const kind = below(20);
  const what = kind < 13 ? BY_PHASE[run.phase] : kind < 18 ? MONEY : ALWAYS;
  const first = below(3) > 0 ? due(run) : null;
  return orWrong(scene, SAYINGS[first ?? oneOf(below, what)](scene));
}

function drawContest(scene: Scene): Said {
  return orWrong(scene, SAYINGS.contest(scene));
}

const oneOf = <T>(below: Scene['below'], choices: readonly T[]): T => choices[below(choices.length)];

/** Makes an event invalid: another author, or one wrong field. */
function wrong({ cast, below, fresh }: Omit<Scene, 'run'>, [author, body]: NonNullable<Said>): Said {
  if (below(3) === 0) return [oneOf(below, [...cast.devices, ...cast.owners, cast.hub]), body];
  const fields = Object.keys(body).filter((field) => !['type', 'version', 'certificate', 'rules'].includes(field));
  const field = oneOf(below, fields);
  const value = (body as Record<string, unknown>)[field];
  const other =
    typeof value === 'number'
      ? Math.max(0, value + oneOf(below, [-1, 1, 1000]))
      : typeof value === 'boolean'
        ? !value
        : typeof value === 'string' && HASH_FORM.test(value)
          ? oneOf(below, [fresh, SALT, ...cast.devices])
          : value;
  // Events without a valid form never reach the core.
  const parsed = EventBodySchema.safeParse({ ...body, [field]: other });
  return parsed.success ? [author, parsed.data] : null;
}

const inRun = ({ run }: Scene) => ({ version: 1, run: run.id }) as const;
const now = ({ run }: Scene) => ({ round: run.round, attempt: run.attempt });
const submissionsOf = ({ run }: Scene): Submission[] => [...run.submissions.values()];

/** Half of all rules bound first works. Decided by the name, so that everything else is drawn as before. */
function firstAmount(fresh: string): Pick<Rules, 'first_amount'> {
  const digit = Number.parseInt(fresh[0], 16);
  return digit < 8 ? { first_amount: 20 + 10 * digit } : {};
}

/** How much a worker claims: most workers without a record keep to the bound. */
function claimOf(run: RunState, worker: string, amount: number, fresh: string): number {
  const most = mostAmount(run, worker);
  return most === null || Number.parseInt(fresh[1], 16) < 3 ? amount : 1 + (amount % most);
}

/** What a worker says beside the amount; a few use a name that is not the game's. */
const numbersOf = (fresh: string): Measures => ({
  steps: Number.parseInt(fresh.slice(2, 4), 16),
  [fresh[4] === '0' ? 'other' : 'loss_micro']: Number.parseInt(fresh.slice(5, 9), 16),
});

/** A quarter of all runs have stages, half of those keep them apart for a few rounds. Decided by the name, too. */
function someStages(fresh: string): Partial<Pick<RunCreated, 'stages' | 'checkpoint_every' | 'apart_rounds'>> {
  const [digit, apart] = [fresh[11], fresh[12]].map((one) => Number.parseInt(one, 16));
  if (digit >= 4) return {};
  return { stages: 2 + (digit % 2), checkpoint_every: 1, ...(apart < 8 && { apart_rounds: 1 + (apart % 4) }) };
}

/** The stage that a worker names: now and then none, or one where there are none. */
function stageOf(run: RunState, worker: string, fresh: string): Pick<WorkSubmitted, 'stage'> {
  const stage = run.peers.get(worker)!.stage ?? undefined;
  const said = fresh[10] !== '0' ? stage : stage === undefined ? 0 : undefined;
  return said === undefined ? {} : { stage: said };
}

function drawRules(cast: Cast, below: Scene['below'], fresh: string): Rules {
  const [owner_permille, validators_permille] = [oneOf(below, [0, 180]), oneOf(below, [0, 410, 500])];
  const named = below(4) === 0 ? cast.owners.slice(0, 1 + below(3)) : [];
  return {
    emission: {
      shares_per_round: oneOf(below, [7, 100, 999_983]),
      halving_rounds: oneOf(below, [0, 0, 2]),
      owner_permille,
      validators_permille,
      workers_permille: 1000 - owner_permille - validators_permille,
    },
    judges: 1 + below(3),
    withheld_rounds: oneOf(below, [0, 0, 1, 4, 9]),
    probation: below(3),
    ...firstAmount(fresh),
    reexecute_permille: oneOf(below, [50, 500]),
    notice_rounds: 1 + below(2),
    release_rounds: 2 + below(2),
    validators: named.map((account) => ({ account, stake: oneOf(below, [1, 2, 1000]) })),
  };
}

function newRun({ cast, state, below, fresh }: Omit<Scene, 'run'>): EventBody {
  const { stated, id } = oneOf(below, [...state.runs.values()]) ?? { stated: null, id: '' };
  const ancestor = stated
    ? { run: id, merged_rounds: stated.merged_rounds, model: stated.model, royalty_permille: oneOf(below, [0, 250]) }
    : null;
  return {
    ...{ type: 'run.created', version: 3, name: below(3) === 0 ? 'diverges' : 'learns', game: 'any', params: SALT },
    ...EXAMPLE_WORDS,
    metrics: [{ ...EXAMPLE_WORDS.metrics[0], better: oneOf(below, ['lower', 'higher']) }],
    ...{ model: ancestor?.model ?? SALT, rounds: 4 + below(9), round_ms: 1000, judging_ms: 400 },
    ...{
      min_workers: 1 + below(2),
      checkpoint_every: 1 + below(3),
      rules: drawRules(cast, below, fresh),
      created_ms: 0,
    },
    ...someStages(fresh),
    ...(ancestor && { ancestor }),
  };
}

/** What is judged, and in which instance. */
interface Judged extends Pick<Submission, 'judges' | 'seals' | 'verdicts'> {
  readonly id: string;
  readonly amount: number;
  readonly instance: Pick<VerdictGiven, 'appeal' | 'contest'>;
}

const judgedNow = (scene: Scene): Judged[] =>
  submissionsOf(scene).map(({ id, body, first, judges, seals, verdicts }) => {
    return { id, amount: body.amount, instance: first ? { appeal: true } : {}, judges, seals, verdicts };
  });

const contestedNow = ({ run }: Scene): Judged[] =>
  [...run.contests].map(([id, { judges, seals, verdicts }]) => {
    const { amount, contests } = run.decided.get(id)!;
    return { id, amount, instance: { contest: contests - 1 }, judges, seals, verdicts };
  });

/** An owed verdict, committed (sealed): `worth` is what the work is worth (`verdictsOf`); one judge in five finds something else. */
function sealOne(scene: Scene, judged: readonly Judged[], worthOf: (judged: Judged) => number): Said {
  const { run, below } = scene;
  const owed = judged.flatMap((one) => one.judges.filter((id) => !one.seals.has(id)).map((judge) => ({ judge, one })));
  if (owed.length === 0) return null;
  const { judge, one } = oneOf(below, owed);
  const found = verdictsOf(judge, one, run.id)[below(5) === 0 ? below(6) : worthOf(one)];
  const { id: submission, instance } = one;
  return [judge, { type: 'verdict.sealed', ...inRun(scene), submission, ...instance, seal: sealOf(judge, found) }];
}

/** A committed verdict, revealed. */
function showOne({ run, below }: Scene, judged: readonly Judged[]): Said {
  const owed = judged.flatMap((one) =>
    [...one.seals].filter(([judge]) => !one.verdicts.has(judge)).map(([judge, seal]) => ({ judge, seal, one })),
  );
  if (owed.length === 0) return null;
  const { judge, seal, one } = oneOf(below, owed);
  const sealed = verdictsOf(judge, one, run.id).find((verdict) => sealOf(judge, verdict) === seal);
  return sealed ? [judge, sealed] : null;
}

/** What a contested decision was worth: mostly the contrary, otherwise the same, or nobody can say. */
const worthOfContested = ({ run }: Scene, { id }: Judged): number => {
  const contrary = run.decided.get(id)!.found === 'accepted' ? 3 : 0;
  return [contrary, contrary, contrary, 3 - contrary, 2][Number.parseInt(id.slice(0, 4), 16) % 5];
};

/** What a judge finds: mostly what the work is worth, so that most rounds end in agreement; the same every time. */
function verdictsOf(judge: string, { id, amount, instance }: Judged, run: string): VerdictGiven[] {
  const most = exampleVerdict(run, id, amount, true, instance);
  const half = { ...most, weight: Math.ceil(amount / 2) };
  const poor = exampleVerdict(run, id, amount, false, instance);
  const madeUp = { ...poor, fraud: true, code: `made up, says ${judge.slice(0, 4)}` };
  const tooMuch = { ...most, weight: amount + 1 };
  const otherwise = { ...poor, numbers: { other: 1 } };
  return [most, half, poor, madeUp, tooMuch, otherwise];
}

const SAYINGS = {
  run: (scene: Scene): Said => {
    const { cast, state, below } = scene;
    const goesOn = [...state.runs.values()].some(({ phase }) => phase !== 'finished');
    return goesOn && below(8) > 0 ? null : [oneOf(below, cast.owners), newRun(scene)];
  },
  tick: ({ cast, state, below }: Scene): Said => {
    const step_ms = below(25) === 0 ? 16_000 : oneOf(below, [0, 50, 100, 200, 400, 1000]);
    return [cast.hub, { type: 'tick', version: 1, time_ms: state.time_ms + step_ms }];
  },
  join: (scene: Scene): Said => {
    const { cast, run, below } = scene;
    const author = oneOf(below, [...cast.devices, ...cast.owners]);
    // A few change their role; the others keep it.
    const role = (cast.devices.indexOf(author) % 2 === 0) === below(12) > 0 ? 'worker' : 'validator';
    const { session } = sessionOf(run, author);
    return [author, { type: 'peer.joined', ...inRun(scene), session, role, name: 'x', runtime: 'y' }];
  },
  leave: (scene: Scene): Said => {
    const { cast, run, below } = scene;
    if (run.peers.size === 0) return null;
    const peer = oneOf(below, [...run.peers.keys()]);
    const { session } = sessionOf(run, peer);
    const author = oneOf(below, [peer, cast.hub]);
    return [author, { type: 'peer.left', ...inRun(scene), peer, session, reason: 'goodbye' }];
  },
  device: ({ cast, below }: Scene): Said => {
    const device = oneOf(below, [...cast.certificates.keys()]);
    const certificate = oneOf(below, cast.certificates.get(device)!);
    return [device, { type: 'device.bound', version: 1, certificate }];
  },
  revoke: ({ state, below }: Scene): Said => {
    if (state.devices.size === 0 || below(4) > 0) return null;
    const [device, { owner }] = oneOf(below, [...state.devices]);
    return [owner, { type: 'device.revoked', version: 1, device }];
  },
  address: ({ cast, state, below }: Scene): Said => {
    const author = oneOf(below, [...cast.owners, ...cast.devices]);
    const change = state.addresses.get(author)?.changes ?? 0;
    const address = `0x${oneOf(below, cast.owners).slice(0, 40)}`;
    return [author, { type: 'account.address', version: 1, hub: state.hub, change, chain: 'evm', address }];
  },
  owner: (scene: Scene): Said => {
    const { run, below } = scene;
    const type = run.phase === 'paused' ? 'run.resumed' : below(8) === 0 ? 'run.ended' : 'run.paused';
    if (type !== 'run.resumed' && below(6) > 0) return null;
    const { round, attempt } = now(scene);
    if (type === 'run.resumed') return [run.owner, { type, version: 1, run: run.id, round, attempt }];
    return [run.owner, { type, version: oneOf(below, [1, 2, 2]), run: run.id, round, attempt }];
  },
  halt: (scene: Scene): Said => [
    scene.cast.hub,
    { type: 'run.halted', ...inRun(scene), version: 2, ...now(scene), reason: 'models-get-worse' },
  ],
  open: (scene: Scene): Said => [scene.cast.hub, { type: 'round.opened', ...inRun(scene), ...now(scene) }],
  work: (scene: Scene): Said => {
    const { run, below, fresh } = scene;
    const workers = [...run.peers.values()].filter((peer) => peer.role === 'worker');
    if (workers.length === 0) return null;
    const planted = below(4) === 0;
    const pledge = planted ? pledgeOf(run.owner, SALT, below(2) === 0) : fresh;
    const done = {
      base: run.model,
      work: fresh,
      size_bytes: 1,
      amount: 1 + below(99),
      numbers: numbersOf(fresh),
      pledge,
    };
    const { id } = oneOf(below, workers);
    const amount = claimOf(run, id, done.amount, fresh);
    const said = { ...done, ...stageOf(run, id, fresh), amount };
    return [id, { type: 'work.submitted', ...inRun(scene), version: 2, ...now(scene), ...said }];
  },
  draw: (scene: Scene): Said => {
    const { cast, state, run, below } = scene;
    // Making a proof takes long, so it is seldom made where it is refused anyway.
    if (!awaitsDraw(run, state.time_ms) && below(40) > 0) return null;
    return [cast.hub, drawnBy(cast.drawer, run)];
  },
  seal: (scene: Scene): Said => {
    const worth = ({ id }: Judged): number =>
      [0, 0, 0, 1, 0, 2, 3, 3][Number.parseInt(scene.run.submissions.get(id)!.body.work[0], 16) % 8];
    return sealOne(scene, judgedNow(scene), worth);
  },
  show: (scene: Scene): Said => showOne(scene, judgedNow(scene)),
  contest: (scene: Scene): Said => {
    const { run, below } = scene;
    const open = contestedNow(scene);
    if (below(2) > 0) return sealOne(scene, open, (judged) => worthOfContested(scene, judged));
    if (below(3) > 0) return showOne(scene, open);
    if (run.decided.size === 0) return null;
    const [submission, { worker, contests }] = oneOf(below, [...run.decided]);
    const author = oneOf(below, [...run.eligible, ...run.eligible, worker]);
    return [author, { type: 'verdict.contested', ...inRun(scene), submission, contest: contests }];
  },
  merge: (scene: Scene): Said => {
    const { cast, state, run, fresh, below } = scene;
    const accepted = acceptedIds(state, run);
    const [bundle, model] = accepted.length > 0 ? [fresh, fresh] : [null, run.model];
    const checkpoint = isCheckpoint(run, { bundle });
    // Now and then against the rules: a step without work, a missing step, a rest without a step.
    const stepped =
      below(8) === 0 ? below(2) === 0 : bundle !== null && (run.recent.at(-1)?.step ?? run.round % 2) !== 0;
    const named = {
      ...(stepped && { step: fresh }),
      ...((stepped && checkpoint) !== (below(16) === 0) && { rest: fresh }),
    };
    const made = { ...mergedList(accepted), model, bundle, checkpoint, ...named };
    return [cast.hub, { type: 'round.merged', ...inRun(scene), version: 2, ...now(scene), ...made }];
  },
  state: ({ cast, run }: Scene): Said => [cast.hub, statementOf(run)],
  plant: (scene: Scene): Said => {
    const { run, below } = scene;
    const owners = [true, false].map((accepted) => [pledgeOf(run.owner, SALT, accepted), accepted] as const);
    const planted = [...run.last_judged].flatMap(([submission, { pledge }]) =>
      owners.filter(([known]) => known === pledge).map(([, accepted]) => ({ submission, accepted })),
    );
    if (planted.length === 0) return null;
    return [run.owner, { type: 'plant.revealed', ...inRun(scene), salt: SALT, ...oneOf(below, planted) }];
  },
  rules: (scene: Scene): Said => {
    const { cast, run, below, fresh } = scene;
    const from_round = run.round + below(4);
    const rules = drawRules(cast, below, fresh);
    return [run.owner, { type: 'rules.proposed', ...inRun(scene), proposal: run.proposals, from_round, rules }];
  },
  evaluate: (scene: Scene): Said => {
    const { run, below } = scene;
    const measuring = below(4) > 0 ? unmeasured(run) : run.validators;
    if (measuring.length === 0) return null;
    const [{ name, better }] = run.spec.metrics;
    const worse = run.spec.name === 'diverges' ? 1.6 : 0.9;
    const value = Math.floor(better === 'lower' ? 1000 * worse ** run.round : 100_000 / worse ** run.round);
    // Now and then by a metric that the run has not.
    const measured = { [name]: value, ...(below(12) === 0 && { bits: 1 }) };
    const about = { merged_rounds: run.round, model: run.model, measured };
    return [oneOf(below, measuring), { type: 'model.evaluated', ...inRun(scene), version: 2, ...about }];
  },
  lock: (scene: Scene): Said => {
    const { state, run, below } = scene;
    const behind = [...run.peers.values()].filter(({ role }) => role === 'validator');
    if (behind.length === 0) return null;
    const { id } = oneOf(below, behind);
    const account = accountOf(state, id);
    const { free } = balanceOf(run, account);
    const shares = below(3) === 0 ? free + below(2) : 1 + below(Math.max(1, free));
    const change = nextStakeChange(run, account);
    return [account, { type: 'stake.locked', ...inRun(scene), behind: id, shares: Math.max(1, shares), change }];
  },
  release: (scene: Scene): Said => {
    const { run, below } = scene;
    const active = run.locks.filter(({ free_round }) => free_round === null);
    if (active.length === 0) return null;
    const { account, device: behind, shares } = oneOf(below, active);
    const change = nextStakeChange(run, account);
    return [account, { type: 'stake.released', ...inRun(scene), behind, shares: 1 + below(shares), change }];
  },
  settle: (scene: Scene): Said => {
    const { state, run } = scene;
    const { balances, total } = settleable(state, run);
    if (total === 0n) return null;
    const log = { settlement: run.settlements, log_size: state.events, format: 'merkle-distributor' as const };
    const root = settlementRoot('merkle-distributor', balances);
    return [run.owner, { type: 'payout.settled', ...inRun(scene), ...log, root, total: Number(total) }];
  },
} as const;
