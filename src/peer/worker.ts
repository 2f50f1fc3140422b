// The worker's role: learns for as long as the round or its owner allows, hands in what it has, never waits for anybody.
import { bytesToHex } from '@noble/hashes/utils.js';
import type { Claim, Device } from '../games/game.ts';
import { fired } from '../protocol/clock.ts';
import { sha256, utf8 } from '../protocol/hash.ts';
import type { Obstacle, RunView } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { type FirstWork, watchFirstWork } from './first-work.ts';
import { lateWords } from './late-words.ts';
import { unlessEmptyHanded } from './leaving.ts';
import { type RoundWatch, roundWatcher } from './obstacles.ts';
import { type Role, roundOf, type Seat } from './role.ts';
import { writeBehind } from './write-behind.ts';

const LIMITS = {
  first_reserve_ms: 1000, // time kept free at the end of a round for packing and sending, until it has been measured
  least_reserve_ms: 150,
  reserve_part: 0.4, // never more than this part of what is left of the round
  progress_every_ms: 300,
} as const;

const CAME_TO_NOTHING: Obstacle = {
  code: 'came-to-nothing',
  message: 'the work of a round came to nothing, though there was time: in training, the loss left the finite numbers',
};

const RESTS: Obstacle = {
  code: 'resting',
  message: 'this device rests through a round, so that it computes for no more of the time than its owner lends',
};

type StepReport = Parameters<Device['progress']>[0];

export function workerRole(seat: Seat): Role {
  const { game, params, blobs, identity, model, clock } = seat;
  /** The round that was handed in or given up, so that a view of it does not start it again. */
  let done = '';
  let working: { key: string; stop: AbortController; watch: RoundWatch | null } | null = null;
  /** The round that this worker heard of last, and when. */
  let heard = { key: '', seen_ms: 0 };
  const watchRound = roundWatcher(clock.elapsed_ms);
  /** The model that is at hand. */
  let followed = '';
  /** Measured time from the end of training to the hub's answer. */
  let reserve_ms: number = LIMITS.first_reserve_ms;

  let opened: Promise<FirstWork> | null = null;
  const firstWork = (): Promise<FirstWork> => {
    opened ??= watchFirstWork(device, clock);
    return opened;
  };

  // One device for all rounds: games keep what they have loaded with it.
  const { drawer, written } = writeBehind(seat.device.drawer);
  let stopped: Promise<void> = Promise.resolve();
  /** When the last step of the round, or the rest after it, was over. */
  let finished_ms = 0;
  let onStep: (report: StepReport) => void = () => {};
  const device: Device = {
    ...seat.device,
    drawer,
    async progress(report) {
      onStep(report);
      await Promise.race([seat.device.progress(report), stopped]);
      finished_ms = clock.elapsed_ms();
    },
  };

  // Loading takes about as long as joining does, and needs nothing of it.
  game.prepare?.(params, device).catch(() => {});

  const keyOf = (view: RunView): string => `${view.round}.${view.attempt}.${view.model}`;

  const tellIdle = (state: 'waiting' | 'catching up', { round }: RunView): void =>
    seat.progress({ state, round, steps: 0, loss: 0, tokens_per_second: 0 });

  const follow = async (view: RunView): Promise<unknown> => {
    if (view.model !== followed) tellIdle('catching up', view);
    const state = await model.follow(view);
    followed = view.model;
    return state;
  };

  const act: Role['act'] = async (view, leaving) => {
    let empty = true;
    await unlessEmptyHanded(
      learn(view, leaving, () => {
        empty = false;
      }),
      leaving,
      () => empty,
      () => {
        if (working) working.key = '';
      },
    );
  };

  /** `onFirstStep`: from then on there is something to hand in. */
  const learn = async (view: RunView, leaving: AbortSignal, onFirstStep: () => void): Promise<void> => {
    const key = keyOf(view);
    if (view.phase !== 'working' || key === done) {
      // Keep up while nothing else is to be done, so that the next round starts at once.
      if (view.phase !== 'working') await follow(view);
      tellIdle('waiting', view);
      return;
    }
    const received_ms = clock.elapsed_ms();
    const stop = new AbortController();
    const round = watchRound(view);
    const mine: NonNullable<typeof working> = { key, stop, watch: round };
    working = mine;
    try {
      // What it did in the round before is not what it is at, though the model is the same.
      if (view.model === followed) tellIdle('catching up', view);
      const state = await follow(view);
      const left_ms = view.remaining_ms - (clock.elapsed_ms() - received_ms);
      const reserve = Math.min(reserve_ms, left_ms * LIMITS.reserve_part);
      const deadline = clock.setTimeout(() => stop.abort(), Math.max(0, left_ms - reserve));
      const signal = AbortSignal.any([stop.signal, leaving]);
      let claim: Claim | null;
      stopped = fired(signal);
      finished_ms = 0;
      const task = game.task(params, roundOf(view), identity.id, state);
      const first = await firstWork();
      const resting = !signal.aborted && (await restsThrough(mine, signal));
      const watch = progressWatch(seat, view);
      round.begun();
      onStep = (report) => {
        round.step();
        onFirstStep();
        watch(report);
        if (first.enough(report.steps)) stop.abort();
      };
      try {
        claim = resting ? null : await game.perform(task, device, signal);
      } finally {
        clock.clearTimeout(deadline);
      }
      done = key;
      // Another round is open by now: this work is on a model that no longer is.
      if (claim && mine.key === key) {
        onFirstStep();
        await handIn(view, claim, finished_ms);
      } else if (!leaving.aborted) {
        const late = claim || signal.aborted ? mine.watch?.missed() : CAME_TO_NOTHING;
        const rests = mine.key === key ? RESTS : null; // else somebody else has ended the round
        const why = resting ? rests : late;
        if (why) seat.heldUp(why);
      }
    } finally {
      working = null;
      await written();
    }
  };

  /** Pays the rest that is owed, for as long as the round allows. @returns whether that was all of it */
  const restsThrough = async (mine: { watch: RoundWatch | null }, signal: AbortSignal): Promise<boolean> => {
    if (!device.rested) return false;
    const { watch } = mine;
    mine.watch = null; // who rests is not slow
    await Promise.race([device.rested(), stopped]);
    mine.watch = watch;
    return signal.aborted;
  };

  /** A hash like that of planted work, so that nobody can tell them apart. */
  const ordinaryPledge = async (work: string): Promise<string> =>
    bytesToHex(sha256(await identity.sign(utf8(`potluck-pledge-v1\n${work}`))));

  const handIn = async (view: RunView, claim: Claim, finished_ms: number): Promise<void> => {
    const progress = { state: 'sending' as const, round: view.round, steps: claim.steps, loss: claim.loss_micro / 1e6 };
    seat.progress({ ...progress, tokens_per_second: 0 });
    try {
      const work = await blobs.upload(claim.work);
      const receipt = await seat.submit({
        type: 'work.submitted',
        version: 1,
        run: seat.run,
        round: view.round,
        attempt: view.attempt,
        base: view.model,
        work,
        size_bytes: claim.work.length,
        steps: claim.steps,
        tokens: claim.tokens,
        loss_micro: claim.loss_micro,
        pledge: (await seat.pledge?.(work)) ?? (await ordinaryPledge(work)),
        ...(heard.key === keyOf(view) ? { seen_ms: heard.seen_ms } : {}),
      });
      const took_ms = clock.elapsed_ms() - finished_ms;
      // Quick to grow, slow to shrink: being late costs a whole round.
      reserve_ms = Math.max(LIMITS.least_reserve_ms, took_ms * 1.5, reserve_ms * 0.8);
      const { steps, tokens } = claim;
      const { event_id: submission, index } = receipt;
      const size_bytes = claim.work.length;
      await (await firstWork()).handedIn();
      seat.heldUp(null);
      seat.tell({ type: 'accepted', round: view.round, submission, index, steps, tokens, size_bytes });
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      if (error.code === 'refused') reserve_ms *= 2;
      const code = typeof error.details.refusal === 'string' ? error.details.refusal : error.code;
      const message = lateWords(code, view.round) ?? error.message;
      seat.tell({ type: 'refused', round: view.round, code, message });
    }
  };

  /** What is under way does not count any more. */
  const drop = (): void => {
    if (!working) return;
    working.key = '';
    working.watch = null;
    working.stop.abort();
  };

  /** The round is over, and this device has not handed in. */
  const missed = (view: RunView, { watch }: { readonly watch: RoundWatch | null }): void => {
    const why = watch?.missed();
    drop();
    if (view.phase === 'paused' || view.phase === 'finished') return;
    if (working) working.watch = watch; // when the step is done, it is known how long one takes
    if (why) seat.heldUp(why);
  };

  return {
    act,
    drop,
    glance(view) {
      if (view.phase === 'working' && keyOf(view) !== heard.key) {
        heard = { key: keyOf(view), seen_ms: Math.max(0, Math.floor(clock.now_ms())) };
      }
      // The round that is being worked on is over, or was opened anew: stop, and hand in only if it still counts.
      if (!working) return;
      if (working.key === '') return;
      if (keyOf(view) !== working.key) missed(view, working);
      else if (view.phase !== 'working') working.stop.abort();
    },
  };
}

/** Tells the hub and the owner a few times a second how the round goes. */
function progressWatch(seat: Seat, view: RunView): (report: StepReport) => void {
  const { clock } = seat;
  const started_ms = clock.elapsed_ms();
  let told_ms = 0;
  return ({ steps, loss, tokens }) => {
    const now_ms = clock.elapsed_ms();
    if (now_ms - told_ms < LIMITS.progress_every_ms) return;
    told_ms = now_ms;
    const tokens_per_second = (tokens / (now_ms - started_ms)) * 1000;
    seat.progress({ state: 'training', round: view.round, steps, loss, tokens_per_second });
  };
}
