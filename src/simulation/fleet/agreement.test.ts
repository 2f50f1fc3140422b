// Fifty devices twice: played one by one by the real hub and the real peers on virtual time, and as cohorts of a fleet. Events, bytes and pay
// must agree within 5 %.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LoggedEvent } from '../../core/events.ts';
import type { RunState } from '../../core/state.ts';
import type { AcceptedWork, AnyGame } from '../../games/game.ts';
import { CONNECTION_LIMITS } from '../../hub/connection.ts';
import { History } from '../history.ts';
import type { PeerPlan, Plan } from '../plan.ts';
import { SimulatedPeer } from '../simulated-peer.ts';
import { emptyTally, type Tally, tally } from '../tally-game.ts';
import { parseFleet } from './fleet.ts';
import { simulateFleet } from './simulate.ts';
import { mustObeyLaws } from './testing/laws.ts';

const WITHIN = 0.05;
const ROUNDS = 5;
const ROUND_MS = 6000;
const STEPS = 8;
const TOKENS_PER_STEP = 100;
const KINDS = {
  fast: { count: 22, step_ms: 250 },
  slow: { count: 22, step_ms: 1700 },
  judges: { count: 6, step_ms: 50 },
} as const;
const LINE = { latency_ms: 20, jitter_ms: 10, bytes_per_ms: 5000 };
const RULES = { judges: 3, withheld_rounds: 40, probation: 1, reexecute_permille: 50, notice_rounds: 5 };
const EMISSION = { owner_permille: 180, validators_permille: 410 };

/** Blobs of these sizes, so that a few bytes of settings and evidence beside them do not count. */
const SIZES = { work: 4000, step: 2000, state: 10_000 };

const padded = (bytes: Uint8Array, size: number): Uint8Array => {
  const result = new Uint8Array(size);
  result.set(bytes);
  return result;
};
const WORK_BYTES = 36;
const STEP_BYTES = 16;
const STATE_BYTES = 36;
const bare = (accepted: readonly AcceptedWork[]): AcceptedWork[] =>
  accepted.map((one) => ({ ...one, work: one.work.slice(0, WORK_BYTES) }));

/** The tally whose work, steps and states are as large as those of a small model. */
const bulky: AnyGame = {
  ...tally,
  async perform(task, device, signal) {
    const claim = await tally.perform(task, device, signal);
    return claim && { ...claim, work: padded(claim.work, SIZES.work) };
  },
  check: (task, claim, device, judging) =>
    tally.check(task, { ...claim, work: claim.work.slice(0, WORK_BYTES) }, device, judging),
  checkForm: (params, work) => tally.checkForm(params, work.slice(0, WORK_BYTES)),
  merge: (params, state: Tally, accepted) => tally.merge(params, state, bare(accepted)),
  cut(params, rest, accepted) {
    const cut = tally.cut!(params, rest, bare(accepted));
    return cut instanceof Promise || cut === null ? cut : { ...cut, step: padded(cut.step, SIZES.step) };
  },
  follow: (params, state, step) => tally.follow!(params, state, step.slice(0, STEP_BYTES)),
  encodeState: (params, state: Tally) => padded(tally.encodeState(params, state) as Uint8Array, SIZES.state),
  decodeState: (params, bytes) => tally.decodeState(params, bytes.slice(0, STATE_BYTES)),
  sizes: () => ({ max_bytes: SIZES.work, dense_bytes: 4 * SIZES.state }),
};

interface Seen {
  /** For a round. */
  readonly events: number;
  readonly up_bytes: number;
  readonly down_bytes: number;
  /** Parts of all shares that were emitted. */
  readonly shares: Readonly<Record<keyof typeof KINDS | 'owner', number>>;
}

/** The real hub and peers. Events are those from the first opening of a round to the last merge that was heard of. */
async function playOneByOne(): Promise<Seen> {
  const devices = (kind: keyof typeof KINDS): PeerPlan[] =>
    Array.from({ length: KINDS[kind].count }, (_, i) => ({
      ...{ name: `${kind}-${i}`, role: kind === 'judges' ? ('validator' as const) : ('worker' as const) },
      ...{
        joins_ms: (kind === 'judges' ? 0 : 500) + 10 * i,
        step_ms: KINDS[kind].step_ms,
        ...LINE,
        skew_ms: 0,
        rate: 1,
        lies_percent: 0,
      },
    }));
  const plan: Plan = {
    ...{ seed: 50, peers: [...devices('judges'), ...devices('fast'), ...devices('slow')], faults: [] },
    ...{ commit_ms: 4, commit_jitter_ms: 0, has_journal: false },
    run: {
      ...{ rounds: ROUNDS, round_ms: ROUND_MS, judging_ms: 30_000, min_workers: KINDS.fast.count + KINDS.slow.count },
      ...{ checkpoint_every: 1000, steps: STEPS, tokens_per_step: TOKENS_PER_STEP, diverges: false, plain: false },
      ...{ shares_per_round: 1_000_000, halving_rounds: 0, ...EMISSION, rules: RULES, keeps_recent: true },
      ...{ moves_shares: false, ended_at_ms: null },
    },
  };
  let [events, until, merges] = [0, 0, 0];
  let run: RunState | undefined;
  const onEvent = ({ body }: LoggedEvent): void => {
    run ??= world.hub?.place.sequencer.state.runs.get(world.run);
    if (events === 0 && body.type !== 'round.opened') return;
    events++;
    if (body.type !== 'round.merged') return;
    until = events;
    merges++;
  };
  const setup = {
    game: bulky,
    params: { steps: STEPS, tokens_per_step: TOKENS_PER_STEP },
    first: emptyTally,
    blobs: new Map(),
  };
  const world = new History(plan, null, {
    setup,
    limits: CONNECTION_LIMITS,
    snapshot_every: 100_000,
    watched: false,
    onEvent,
  });
  const { violation } = await world.play();
  assert.equal(violation, null);
  assert.equal(run?.round, ROUNDS);
  const { shares, emitted_shares } = run;
  const peers = world.peers.filter((peer) => peer instanceof SimulatedPeer);
  const partOf = (ids: readonly string[]): number =>
    ids.reduce((all, id) => all + (shares.get(id) ?? 0), 0) / emitted_shares;
  const part = (kind: string): number =>
    partOf(peers.filter(({ plan: { name } }) => name.startsWith(kind)).map(({ identity }) => identity.id));
  return {
    events: until / merges,
    up_bytes: peers.reduce((sum, { traffic }) => sum + traffic.up_bytes, 0),
    down_bytes: peers.reduce((sum, { traffic }) => sum + traffic.down_bytes, 0),
    shares: { fast: part('fast'), slow: part('slow'), judges: part('judges'), owner: partOf([world.owner.id]) },
  };
}

/** The same devices as three classes of a fleet. */
function playAsCohorts() {
  const workers = KINDS.fast.count + KINDS.slow.count;
  const count = workers + KINDS.judges.count;
  const beforeFirst = workers * SIZES.step + KINDS.judges.count * workers * SIZES.work;
  const always = { weekday: Array(24).fill(1), weekend: Array(24).fill(1) };
  const mbps = (LINE.bytes_per_ms * 1000 * 8) / 1e6;
  const line = { median: mbps, sigma: 0 };
  const source = 'the plan of playOneByOne';
  const fleet = parseFleet(
    JSON.stringify({
      ...{ name: 'fifty', about: 'the devices of the simulated world', source, days: 1, devices: count },
      classes: Object.entries(KINDS).map(([name, kind]) => ({
        ...{ name, source, share: kind.count / count, flops: (TOKENS_PER_STEP * 1000) / kind.step_ms, memory_gb: 1 },
        ...{ up_mbps: line, down_mbps: line, zones: [{ utc_h: 0, share: 1 }], available: always },
        ...{ session: { mean_h: 1e9, shape: 1 }, lifetime_days: 1e9, judges: name === 'judges' ? 1 : 0 },
        ...{ watts: 0, eur_per_kwh: 0, g_co2_per_kwh: 0 },
      })),
      model: {
        ...{
          source,
          parameters: 1,
          flops_per_token: 1,
          tokens: 1e15,
          inner_steps: STEPS,
          batch_tokens: TOKENS_PER_STEP,
        },
        ...{ update_bytes: SIZES.work, step_bytes: SIZES.step, model_bytes: SIZES.state },
      },
      round: { source, work_s: ROUND_MS / 1000, judging_s: 30 },
      rules: { ...RULES, notice_rounds: undefined, ...EMISSION, look_steps: 0 },
      hub: { source, design: 'step' },
      pay: { source, eur_per_billion: 1e9 },
      committee: { workers, judges: KINDS.judges.count, rounds: ROUNDS, skip: 0 },
    }),
  );
  const result = simulateFleet(fleet);
  mustObeyLaws(fleet, result);
  const rounds = result.rounds.count;
  const income = (name: string): number =>
    result.classes.find((one) => one.name === name)!.eur_income / result.money.paid;
  return {
    result,
    events: result.needs.events_a_round,
    up_bytes: (result.bytes.up / rounds) * ROUNDS,
    // Everybody downloads the model when it comes; before the first round there is neither a step nor a bundle.
    down_bytes: (result.bytes.down / rounds) * ROUNDS + count * SIZES.state - beforeFirst,
    shares: {
      fast: income('fast'),
      slow: income('slow'),
      judges: income('judges'),
      owner: result.money.owner / result.money.paid,
    },
  };
}

test('fifty devices as cohorts agree with fifty devices that are played one by one: events, bytes, pay', async () => {
  const seen = await playOneByOne();
  const told = playAsCohorts();
  const off = (got: number, real: number): number => got / real - 1;
  const rows = [
    ['events', told.events, seen.events],
    ['bytes up', told.up_bytes, seen.up_bytes],
    ['bytes down', told.down_bytes, seen.down_bytes],
    ...(['fast', 'slow', 'judges', 'owner'] as const).map(
      (kind) => [`shares of ${kind}`, told.shares[kind], seen.shares[kind]] as const,
    ),
  ] as const;
  const text = rows
    .map(([what, got, real]) => `${what}: ${got}, really ${real} (${(100 * off(got, real)).toFixed(2)} %)`)
    .join('\n');
  for (const [, got, real] of rows) assert.ok(Math.abs(off(got, real)) <= WITHIN, text);
});
