// Faults around the real modules, of disks, clocks and arrivals. The simulator must find each of them. Faults of one line
// in the source itself are in planted-faults.ts.
import { core, type StateMachine } from '../core/reduce.ts';
import type { NetworkState } from '../core/state.ts';
import type { AcceptedWork, AnyGame } from '../games/game.ts';
import { cutState, mergeState } from '../games/state.ts';
import type { HubCore } from '../hub/hub-core.ts';
import type { Clock } from '../protocol/clock.ts';
import { sha256Hex } from '../protocol/hash.ts';
import type { DiskFaults, HubDisk } from './disks.ts';
import { lossOf, type TallyTask, tally } from './tally-game.ts';

export interface Bug {
  readonly name: string;
  readonly disk?: DiskFaults;
  /** The hub's core. */
  readonly machine?: StateMachine;
  /** The hub's game. */
  game?(game: AnyGame, disk: HubDisk): AnyGame;
  /** The game of the validators. */
  readonly judges?: AnyGame;
  /** The clock of the hub. */
  clock?(clock: Clock): Clock;
  /** Changes an open hub. */
  place?(place: HubCore, clock: Clock): void;
}

/** The core, with a change of the state after every accepted event. */
const afterwards = (meddle: (state: NetworkState, event: Parameters<typeof core.apply>[1]) => void): StateMachine => ({
  refusalOf: core.refusalOf,
  apply(state, event) {
    const refusal = core.apply(state, event);
    if (!refusal) meddle(state, event);
    return refusal;
  },
});

/** The core, but some refusals are ignored: `take` accepts the event. */
const lenient = (codes: readonly string[], take: StateMachine['apply']): StateMachine => ({
  refusalOf(state, event) {
    const refusal = core.refusalOf(state, event);
    return refusal && codes.includes(refusal.code) ? null : refusal;
  },
  apply(state, event) {
    const refusal = core.refusalOf(state, event);
    return refusal && codes.includes(refusal.code) ? take(state, event) : core.apply(state, event);
  },
});

/** Work in the order of its arrival at the hub, instead of the order of the log's list. */
function inArrivalOrder(disk: HubDisk, accepted: readonly AcceptedWork[]): AcceptedWork[] {
  const arrival = ({ work }: AcceptedWork): number => disk.arrivals.get(sha256Hex(work)) ?? 0;
  return [...accepted].sort((a, b) => arrival(a) - arrival(b));
}

const FORGETTING_MS = 3000;

/** Every planted fault, by its name. */
export const BUGS: readonly Bug[] = [
  { name: 'acknowledged-before-durable', disk: { early_log: true } },
  { name: 'blob-lost-on-restart', disk: { early_blobs: true } },
  { name: 'part-kept-on-a-full-disk', disk: { keeps_part: true } },
  {
    name: 'payout-rounded-twice',
    machine: afterwards((state, { body }) => {
      if (body.type !== 'round.merged') return;
      const { shares } = state.runs.get(body.run)!;
      for (const [account, held] of shares) shares.set(account, Math.floor(Math.fround(held / 3) * 3));
    }),
  },
  {
    name: 'stake-freed-without-notice',
    machine: afterwards((state, { body }) => {
      if (body.type !== 'stake.released') return;
      const run = state.runs.get(body.run)!;
      run.locks = run.locks.filter(({ free_round }) => free_round === null);
    }),
  },
  {
    name: 'merge-in-arrival-order',
    game: (game, disk) => ({
      ...game,
      merge: (params: unknown, state: unknown, accepted: readonly AcceptedWork[]) =>
        mergeState(game, params, state, inArrivalOrder(disk, accepted)),
      cut: (params: unknown, rest: unknown, accepted: readonly AcceptedWork[]) =>
        cutState(game, params, { state: null, rest }, inArrivalOrder(disk, accepted)),
    }),
  },
  {
    // The model follows from the step, but the step does not follow from the work.
    name: 'step-of-other-work',
    game: (game) => ({
      ...game,
      async cut(params: unknown, rest: unknown, accepted: readonly AcceptedWork[]) {
        const cut = await cutState(game, params, { state: null, rest }, accepted);
        return cut && { ...cut, step: cut.step.map((byte) => byte ^ 1) };
      },
    }),
  },
  {
    name: 'what-steps-left-out-is-lost',
    game: (game) => ({
      ...game,
      cut: (params: unknown, _rest: unknown, accepted: readonly AcceptedWork[]) =>
        cutState<unknown>(game, params, { state: null, rest: null }, accepted),
    }),
  },
  {
    name: 'cut-off-loss-judged',
    judges: {
      ...tally,
      // Compares a loss that was cut off in the claim with one that was not.
      async check(task: TallyTask, claim, device, judging) {
        const verdict = await tally.check(task, claim, device, judging);
        if (claim.numbers.loss_micro === lossOf(task)) return verdict;
        return { ...verdict, accepted: false, fraud: true, weight: 0, code: 'not-on-its-data' };
      },
    },
  },
  {
    name: 'verdict-counted-twice',
    machine: lenient(['already-judged'], (state, event) => {
      const { body, author } = event;
      if (body.type !== 'verdict.given') return null;
      state.events++;
      state.runs.get(body.run)!.submissions.get(body.submission)!.verdicts.set(`${author}+`, body);
      return null;
    }),
  },
  {
    name: 'deadline-ignores-grace',
    machine: afterwards((state, { body }) => {
      if (body.type !== 'tick') return;
      for (const run of state.runs.values()) {
        if (run.phase === 'judging' && run.attendance.seals_due === 0) run.phase = 'merging';
      }
    }),
  },
  {
    name: 'old-model-accepted',
    machine: lenient(['wrong-round', 'wrong-model'], (state, event) => {
      const { body } = event;
      if (body.type !== 'work.submitted') return core.apply(state, event);
      const run = state.runs.get(body.run)!;
      const { round, attempt, model } = run;
      return core.apply(state, { ...event, body: { ...body, round, attempt, base: model } });
    }),
  },
  {
    name: 'present-peer-forgotten',
    place(place, clock) {
      // After a restart the hub believes that all peers are gone, also those that came back in time.
      if (place.sequencer.state.events === 0) return;
      clock.setTimeout(() => {
        for (const run of place.sequencer.state.runs.values()) {
          for (const peer of run.peers.values()) {
            const body = {
              type: 'peer.left',
              version: 1,
              run: run.id,
              peer: peer.id,
              session: peer.joins - 1,
              reason: 'hub restarted',
            } as const;
            if (peer.present) place.sequencer.write(body).catch(() => {}); // the core may refuse it, which is right
          }
        }
      }, FORGETTING_MS);
    },
  },
  {
    // Its next join has the number of its first one, so anybody who reads the log could send that one again.
    name: 'forgotten-at-once',
    machine: afterwards((state, { body }) => {
      if (body.type !== 'peer.left') return;
      const { peers } = state.runs.get(body.run)!;
      const peer = peers.get(body.peer)!;
      if (!peer.handed_in && peer.role === 'worker') peers.delete(body.peer);
    }),
  },
  {
    name: 'empty-rounds-opened-at-once',
    machine: afterwards((state, { body }) => {
      if (body.type === 'round.merged' && body.bundle === null) state.runs.get(body.run)!.idle.opens_ms = 0;
    }),
  },
  {
    name: 'worse-models-unheeded',
    machine: afterwards((state, { body }) => {
      if (body.type !== 'round.merged') return;
      for (const watch of state.runs.get(body.run)!.watches.values()) watch.worse_models = 0;
    }),
  },
  {
    name: 'pause-drops-what-is-in',
    machine: {
      refusalOf: core.refusalOf,
      apply(state, event) {
        const { body } = event;
        const owners = body.type === 'run.paused' || body.type === 'run.ended';
        return core.apply(state, owners ? { ...event, body: { ...body, version: 1 } } : event);
      },
    },
  },
  {
    name: 'deadlines-by-the-clock-on-the-wall',
    clock: (clock) => ({ ...clock, elapsed_ms: clock.now_ms }),
  },
  {
    name: 'clock-put-off-by-events',
    machine: afterwards((state, { body }) => {
      // Every event moves the deadline.
      if (body.type === 'tick' || !('run' in body)) return;
      const run = state.runs.get(body.run);
      if (run?.phase === 'working') run.deadline_ms += 2000;
    }),
  },
];
