// Plants work in a live run, for its owner: takes part as an unknown worker, submits work whose right verdict it knows, makes sure by its own
// check that an honest judge could know it too, and reveals the pledge after the round.

import { dutyOf } from '../core/rounds/panel.ts';
import { CodedError } from '../errors.ts';
import type { AnyGame, Claim, Device, Verdict } from '../games/game.ts';
import { memoryDrawer } from '../games/memory-drawer.ts';
import { runProgram } from '../games/programs/node-programs.ts';
import { checkSubmission } from '../peer/check-submission.ts';
import { findRun } from '../peer/find-run.ts';
import { followModel } from '../peer/model.ts';
import { type JoinOptions, joinRun, type Situation } from '../peer/peer.ts';
import { openThrottle } from '../peer/policy.ts';
import type { SeenRun } from '../peer/round-work.ts';
import { sendEvent } from '../peer/send-event.ts';
import { fired } from '../protocol/clock.ts';
import { signEvent } from '../protocol/envelope.ts';
import type { JudgedView } from '../protocol/from-hub.ts';
import { sha256Hex } from '../protocol/hash.ts';
import type { Identity } from '../protocol/identity.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { OwnerError } from './errors.ts';
import { isFitToReveal, type Plant, plantedGame, plantPledge, plantReveal } from './planted-work.ts';
import { watchWorker } from './run-observer.ts';

export interface PlantOptions
  extends Pick<JoinOptions, 'url' | 'run' | 'name' | 'folder' | 'runtime' | 'signal' | 'onNews' | 'loadGame'> {
  /** The run's owner: only its signature reveals a pledge. The worker's own key, in `folder`, is unrelated to it. */
  readonly owner: Identity;
  /** The right verdict on the planted work. */
  readonly accepted: boolean;
  /** The runtimes of the owner's own checks: one of each class that judges use, because their results differ in the last bits. */
  readonly referees: readonly Runtime[];
  /** How many rounds it works honestly before planting. */
  readonly honest_rounds: number;
}

/** The outcome of a plant. It is revealed only where the owner's own check gives the expected verdict. */
export type PlantOutcome =
  | { readonly revealed: true; readonly submission: string; readonly round: number }
  | { readonly revealed: false; readonly reason: string };

/** Plants one submission. Throws PeerError `not-the-owner`, `refused` in a finished run, and the errors of joinRun. */
export async function plantInRun(options: PlantOptions): Promise<PlantOutcome> {
  const { url, name, folder, runtime, owner, signal, loadGame, onNews } = options;
  const done = new AbortController();
  const watches: { close(): void }[] = [];
  try {
    const { hub, view: found } = await findRun(url, options.run);
    const { run, owner: expected, phase } = found;
    if (expected !== owner.id) {
      throw new OwnerError('not-the-owner', `only the owner ${expected} can plant in run ${run}, got ${owner.id}`);
    }
    if (phase === 'finished') {
      const refusal = { refusal: 'wrong-phase' };
      throw new PeerError('refused', `run ${run.slice(0, 12)} is finished: nothing is judged any more`, refusal);
    }
    const own = new Planting(options, run, () => done.abort());
    await joinRun({
      ...{ url, run, runtime, name, folder, loadGame, role: 'worker', throttle: openThrottle(1), onNews },
      signal: AbortSignal.any([signal, done.signal]),
      disguise(game, situation) {
        watches.push(watchWorker(url, { hub, run, worker: situation.peer }, (view) => own.see(view)));
        return own.play(game, situation);
      },
      pledge: (work) => own.pledge(work),
    });
    return await own.outcome();
  } finally {
    for (const watch of watches) watch.close();
  }
}

/** Planted work as its judges see it, with the model of its round. */
interface Seen {
  readonly view: SeenRun;
  readonly submission: JudgedView;
  readonly state: Promise<unknown>;
}

class Planting {
  readonly #options: PlantOptions;
  readonly #run: string;
  readonly #onEnd: () => void;
  #game: AnyGame | null = null;
  #situation: Situation | null = null;
  #performed = 0;
  /** What was planted, in which round and attempt. */
  #plant: (Plant & { readonly round: number; readonly attempt: number }) | null = null;
  #seen: Seen | null = null;
  #findings: Promise<(Verdict | null)[]> | null = null;
  #concluding = false;
  /** Resolves when the outcome of the plant is known. */
  #settled: PromiseWithResolvers<void> | null = null;
  #outcome: PlantOutcome | null = null;

  constructor(options: PlantOptions, run: string, onEnd: () => void) {
    this.#options = options;
    this.#run = run;
    this.#onEnd = onEnd;
  }

  /** The game as the planting worker plays it. */
  play(game: AnyGame, situation: Situation): AnyGame {
    const planted = plantedGame(game, this.#options.accepted);
    this.#game = game;
    this.#situation = situation;
    return {
      ...game,
      task: async (...given) => ({ honest: await game.task(...given), planted: await planted.task(...given) }),
      perform: async ({ honest, planted: other }, device, signal): Promise<Claim | null> => {
        // The next round waits for this worker, because a plant must be revealed before the next merge.
        await Promise.race([this.#settled?.promise, fired(signal)]);
        const due = this.#performed >= this.#options.honest_rounds && !this.#plant && !this.#outcome;
        const view = situation.view()!;
        const claim = await (due ? planted.perform(other, device, signal) : game.perform(honest, device, signal));
        if (claim) this.#performed++;
        if (claim && due) {
          const { accepted } = this.#options;
          const { round, attempt } = view;
          this.#plant = { run: this.#run, work: sha256Hex(claim.work), accepted, round, attempt };
          this.#settled = Promise.withResolvers();
        }
        return claim;
      },
    };
  }

  async pledge(work: string): Promise<string | null> {
    return this.#plant?.work === work ? plantPledge(this.#options.owner, this.#plant) : null;
  }

  /** Called with every view of whoever watches the work. */
  see(view: SeenRun): void {
    const plant = this.#plant;
    if (!plant || this.#concluding) return;
    const submission = view.submissions.find(({ work, worker }) => {
      return work === plant.work && worker === this.#situation!.peer;
    });
    if (submission) {
      this.#seen = { view, submission, state: this.#seen?.state ?? this.#stateOf(view) };
      // The judges know by now whether the work is re-executed, and so does the owner.
      if (view.phase !== 'working' && view.phase !== 'judging') this.#findings ??= this.#check(this.#seen);
    } else if (view.round !== plant.round || view.attempt !== plant.attempt) {
      this.#concluding = true;
      void this.#conclude(plant).then(() => {
        this.#concluding = false;
        this.#settled!.resolve();
      });
    }
  }

  #stateOf(view: SeenRun): Promise<unknown> {
    const { params, fetchBlob } = this.#situation!;
    const state = followModel(this.#game!, params, { fetch: fetchBlob }).follow(view);
    state.catch(() => {}); // its user handles the error
    return state;
  }

  /** The owner's own checks, with the knowledge of judges, at the places where each of them looks; null where one cannot be made. */
  async #check({ view, submission, state }: Seen): Promise<(Verdict | null)[]> {
    const { params, fetchBlob } = this.#situation!;
    // A judge must not be blamed for what only a re-execution or another place would show. A judge that sees only the form is not tested.
    const work = { ...view, ...submission, draw: view.draw! };
    const duties = submission.judges
      .map((judge) => dutyOf(work, judge))
      .filter(({ looks, repeat_permille }) => looks || repeat_permille > 0);
    // A judge that re-executes all of it sees all places.
    const repeated = duties.every(({ repeat_permille }) => repeat_permille === 1000);
    const tried = repeated ? [{ repeat_permille: 1000, looks: true, place: 0 }] : duties;
    const findings: (Verdict | null)[] = [];
    for (const [runtime, duty] of this.#options.referees.flatMap((each) => tried.map((one) => [each, one] as const))) {
      const device: Device = { runtime, fetchBlob, drawer: memoryDrawer(), run: runProgram, progress: async () => {} };
      try {
        const judge = { game: this.#game!, params, device };
        const judging = { ...duty, time_ms: view.judging_ms };
        findings.push(await checkSubmission(judge, await state, view, submission, judging));
      } catch (error) {
        if (!(error instanceof CodedError)) throw error;
        this.#options.onNews?.({ type: 'problem', code: error.code, message: error.message });
        findings.push(null);
      }
    }
    return findings;
  }

  /** The round of the planted work is over. */
  async #conclude(plant: Plant & { readonly round: number }): Promise<void> {
    const seen = this.#seen;
    if (!seen) return this.#again('it did not reach the log in its round');
    const findings = await (this.#findings ?? this.#check(seen));
    if (!isFitToReveal(plant, findings)) {
      const said = findings.map((found) => (found ? `"${found.code}"` : 'that it could not be made')).join(' and ');
      return this.#end({
        revealed: false,
        reason: `the owner's own check says ${said}, and whoever judges as it does would be punished`,
      });
    }
    const { owner, url } = this.#options;
    try {
      await sendEvent(url, await signEvent(owner, await plantReveal(owner, plant, seen.submission.id)));
      this.#end({ revealed: true, submission: seen.submission.id, round: plant.round });
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      if (error.details.refusal === 'unknown-submission') this.#again('its round was not merged');
      else this.#end({ revealed: false, reason: error.message });
    }
  }

  /** The attempt failed: the next submission is planted instead. */
  #again(reason: string): void {
    this.#options.onNews?.({ type: 'problem', code: 'not-planted', message: `${reason}; planting again` });
    this.#plant = this.#seen = this.#findings = null;
  }

  #end(outcome: PlantOutcome): void {
    this.#outcome = outcome;
    this.#onEnd();
  }

  /** Called when the worker has left. A plant in a run's last round is still being checked then. */
  async outcome(): Promise<PlantOutcome> {
    if (this.#plant && !this.#options.signal.aborted) {
      await Promise.race([this.#settled!.promise, fired(AbortSignal.timeout(LAST_LOOK_MS))]);
    }
    return this.#outcome ?? { revealed: false, reason: 'the run or this command ended before' };
  }
}

/** How long the last view and the owner's own check may take after the run has finished. */
const LAST_LOOK_MS = 30_000;
