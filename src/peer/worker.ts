// The worker's role: trains for as long as the round and its owner allow, submits what it has, and never waits for other workers.

import { bytesToHex } from '@noble/hashes/utils.js';
import type { EventBody } from '../core/events.ts';
import type { Claim } from '../games/game.ts';
import { fired } from '../protocol/clock.ts';
import { sha256, utf8 } from '../protocol/hash.ts';
import type { Identity } from '../protocol/identity.ts';
import type { RunView } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { type FirstWork, watchFirstWork } from './first-work.ts';
import { keepHandedIn, ownMerged } from './handed-in.ts';
import { lateWords } from './late-words.ts';
import { unlessEmptyHanded } from './leaving.ts';
import { type RoundWatch, roundWatcher } from './obstacles.ts';
import { NOTHING_DONE, type Role, type RoleContext, roundKey, roundOf, taskKey } from './role.ts';
import { openStepping, type Stepping, type StepReport } from './stepping.ts';
import {
  FIRST_RESERVE_MS,
  nextReserve,
  planAfterWork,
  planInterruption,
  planRound,
  workingTime,
} from './worker-plan.ts';
import { writeBehind } from './write-behind.ts';

/** The least time between two progress reports to hub and owner. */
const PROGRESS_EVERY_MS = 300;

/** The round that a worker works on. */
interface Work {
  /** '' once it does not count any more. */
  key: string;
  /** The stage of the model that it is of; undefined where the model is not cut. */
  readonly stage: number | undefined;
  readonly stop: AbortController;
  readonly round: RoundWatch;
  /** The same, while the device may be called too slow. */
  watch: RoundWatch | null;
  /** There is something to submit. */
  begun: boolean;
}

export function workerRole(context: RoleContext): Role<RunView> {
  return new Worker(context);
}

/** Acts on the decisions of worker-plan.ts. */
class Worker implements Role<RunView> {
  readonly #context: RoleContext;
  readonly #stepping: Stepping;
  readonly #written: () => Promise<void>;
  readonly #watchRound: (view: RunView) => RoundWatch;
  /** Elapsed time without that in which the owner's rules kept the device from working. */
  readonly #awake_ms: () => number;
  /** The round that was submitted, or the task that was given up, so that a view of it does not start it again. */
  #done = '';
  #work: Work | null = null;
  /** The newest round that this worker heard of, and when. */
  #heard = { key: '', seen_ms: 0 };
  /** The current model, where it is loaded. */
  #followed = '';
  #reserve_ms: number = FIRST_RESERVE_MS;
  #opened: Promise<FirstWork> | null = null;

  constructor(context: RoleContext) {
    const { drawer, written } = writeBehind(context.device.drawer);
    this.#context = context;
    this.#written = written;
    this.#stepping = openStepping({ ...context.device, drawer }, context.clock);
    const { clock, device } = context;
    this.#awake_ms = () => clock.elapsed_ms() - (device.away_ms?.() ?? 0);
    this.#watchRound = roundWatcher(this.#awake_ms);
    // Loading takes about as long as joining, and needs nothing from it. If it fails, the first round fails and reports it.
    context.game.prepare?.(context.params, this.#stepping.device).catch(() => {});
  }

  async act(view: RunView, leaving: AbortSignal): Promise<void> {
    const plan = planRound(view, this.#done);
    if (plan !== 'learn')
      return unlessEmptyHanded(
        this.#keepUp(view, plan),
        leaving,
        () => true,
        () => {},
      );
    const round = this.#watchRound(view);
    const work: Work = {
      ...{ key: roundKey(view), stage: view.stage, stop: new AbortController(), round, watch: round },
      begun: false,
    };
    this.#work = work;
    await unlessEmptyHanded(
      this.#learn(view, work, leaving),
      leaving,
      () => !work.begun,
      () => {
        work.key = '';
      },
    );
  }

  onView(view: RunView): void {
    const { clock } = this.#context;
    if (view.phase === 'working' && roundKey(view) !== this.#heard.key) {
      this.#heard = { key: roundKey(view), seen_ms: Math.max(0, Math.floor(clock.now_ms())) };
    }
    const interruption = planInterruption(view, this.#work?.key ?? '', this.#work?.stage);
    if (interruption === 'missed') this.#missed(view);
    if (interruption === 'moved') this.drop();
    if (interruption === 'stop') this.#work?.stop.abort();
  }

  /** The current work does not count any more. */
  drop(): void {
    if (!this.#work) return;
    this.#work.key = '';
    this.#work.watch = null;
    this.#work.stop.abort();
  }

  async #keepUp(view: RunView, plan: 'keep-up' | 'wait'): Promise<void> {
    if (plan === 'keep-up') {
      if (view.model !== this.#followed) this.#tellIdle('catching up', view);
      await this.#follow(view);
    }
    this.#tellIdle('waiting', view);
  }

  async #learn(view: RunView, work: Work, leaving: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([work.stop.signal, leaving]);
    try {
      const { claim, rested } = await this.#train(view, work, signal);
      this.#done = taskKey(view);
      const counts = work.key === roundKey(view);
      const tooSlow = work.watch?.missed() ?? null;
      const stopped = signal.aborted;
      const next = planAfterWork({ claim, counts, rested, stopped, leaving: leaving.aborted, tooSlow });
      if (next?.do === 'tell') this.#context.heldUp(next.why);
      if (next?.do !== 'hand-in') return;
      work.begun = true;
      await this.#handIn(view, next.claim);
    } finally {
      this.#work = null;
      await this.#written();
    }
  }

  /** Trains until the round's time is over. @returns what there is to submit, and whether the device rested instead */
  async #train(
    view: RunView,
    work: Work,
    signal: AbortSignal,
  ): Promise<{ readonly claim: Claim | null; readonly rested: boolean }> {
    const { game, params, identity, clock } = this.#context;
    const { device } = this.#stepping;
    const received_ms = clock.elapsed_ms();
    this.#tellIdle('catching up', view); // the last round's activity is over, even if the model is the same
    const state = await this.#follow(view);
    const left_ms = view.remaining_ms - (clock.elapsed_ms() - received_ms);
    const deadline = clock.setTimeout(() => work.stop.abort(), workingTime(left_ms, this.#reserve_ms));
    try {
      const round = { ...roundOf(view), own: await ownMerged(device.drawer, view) };
      const task = await game.task(params, round, identity.id, state);
      const first = await this.#firstWork();
      if (!signal.aborted && (await this.#restsThrough(work, signal))) return { claim: null, rested: true };
      const tell = progressTeller(this.#context, view);
      let pieces = 0;
      work.round.begun();
      this.#stepping.begin(signal, (report) => {
        work.round.step();
        work.begun = true;
        tell(report);
        if (first.enough(++pieces)) work.stop.abort();
      });
      return { claim: await game.perform(task, device, signal), rested: false };
    } finally {
      clock.clearTimeout(deadline);
    }
  }

  /** Pays the owed rest, as far as the round allows. @returns whether that was all of it */
  async #restsThrough(work: Work, signal: AbortSignal): Promise<boolean> {
    const { device } = this.#stepping;
    if (!device.rested) return false;
    const { watch } = work;
    work.watch = null; // a resting device is not slow
    await Promise.race([device.rested(), fired(signal)]);
    work.watch = watch;
    return signal.aborted;
  }

  async #handIn(view: RunView, claim: Claim): Promise<void> {
    const { blobs, identity, clock, pledge, run } = this.#context;
    const worked_ms = this.#awake_ms() - (clock.elapsed_ms() - this.#stepping.finished_ms());
    const { amount, numbers } = claim;
    const { round } = view;
    const size_bytes = claim.work.length;
    this.#context.progress({ state: 'sending', round, amount, numbers, amount_per_second: 0 });
    try {
      const { hash: work, enclosed } = await blobs.handOver(claim.work);
      const body: EventBody = {
        type: 'work.submitted',
        version: 2,
        run,
        round,
        attempt: view.attempt,
        base: view.model,
        work,
        size_bytes,
        amount,
        ...(view.stage !== undefined && { stage: view.stage }),
        numbers,
        pledge: (await pledge?.(work)) ?? (await ordinaryPledge(identity, work)),
        ...(this.#heard.key === roundKey(view) ? { seen_ms: this.#heard.seen_ms } : {}),
      };
      const receipt = await this.#context.submit(body, enclosed);
      this.#done = roundKey(view);
      this.#reserve_ms = nextReserve(this.#reserve_ms, this.#awake_ms() - worked_ms);
      await (await this.#firstWork()).handedIn();
      await keepHandedIn(this.#stepping.device.drawer, { round, work });
      this.#context.heldUp(null);
      const { event_id: submission, index } = receipt;
      this.#context.tell({ type: 'accepted', round, submission, index, amount, numbers, size_bytes });
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      const code = typeof error.details.refusal === 'string' ? error.details.refusal : error.code;
      if (error.code === 'refused' && code !== 'wrong-stage') this.#reserve_ms *= 2;
      this.#context.tell({ type: 'refused', round, code, message: lateWords(code, round) ?? error.message });
    }
  }

  /** The round is over, and this device has not submitted. */
  #missed(view: RunView): void {
    const watch = this.#work?.watch ?? null;
    const why = watch?.missed();
    this.drop();
    if (view.phase === 'paused' || view.phase === 'finished') return;
    if (this.#work) this.#work.watch = watch; // after the step it is known how long one takes
    if (why) this.#context.heldUp(why);
  }

  async #follow(view: RunView): Promise<unknown> {
    const state = await this.#context.model.follow(view);
    this.#followed = view.model;
    return state;
  }

  #firstWork(): Promise<FirstWork> {
    this.#opened ??= watchFirstWork(this.#stepping.device, this.#context.clock);
    return this.#opened;
  }

  #tellIdle(state: 'waiting' | 'catching up', { round }: RunView): void {
    this.#context.progress({ state, round, ...NOTHING_DONE });
  }
}

/** A random hash that looks like a real pledge, so that planted work cannot be told apart. */
async function ordinaryPledge(identity: Identity, work: string): Promise<string> {
  return bytesToHex(sha256(await identity.sign(utf8(`potluck-pledge-v1\n${work}`))));
}

/** Reports the round's progress to hub and owner a few times a second. */
function progressTeller(context: RoleContext, view: RunView): (report: StepReport) => void {
  const { clock } = context;
  const started_ms = clock.elapsed_ms();
  let told_ms = 0;
  return ({ amount, numbers }) => {
    const now_ms = clock.elapsed_ms();
    if (now_ms - told_ms < PROGRESS_EVERY_MS) return;
    told_ms = now_ms;
    const amount_per_second = (amount / (now_ms - started_ms)) * 1000;
    context.progress({ state: 'working', round: view.round, amount, numbers, amount_per_second });
  };
}
