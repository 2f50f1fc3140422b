// One history of a run in stages on the virtual network: the real game, the hub's relay and the devices' channels, with a stand-in for arithmetic.
import { CONNECTION_LIMITS } from '../hub/connection.ts';
import { History } from './history.ts';
import { type StagedPlan, stagedPlanOf } from './staged-plan.ts';
import { setUpStages } from './staged-setup.ts';
import { StagedWatch } from './staged-watch.ts';
import { standInRuntime } from './stand-in-runtime.ts';
import type { Outcome, Staging } from './world.ts';

/** How often devices are looked at. */
const LOOKS_MS = 500;

/** Plays a history. */
export async function playStages(plan: StagedPlan): Promise<Outcome> {
  const setup = await setUpStages(plan.shape);
  const { batch, context, model } = setup.params;
  const staging: Staging = {
    ...{ limits: CONNECTION_LIMITS, snapshot_every: 7, watched: true, setup },
    runtime: (process, { identity, plan: { step_ms } }) =>
      standInRuntime({
        ...{ rows: batch * context, columns: model.hidden_size, batch },
        async ran(kind, parts) {
          await process.wait(parts * step_ms);
          history.watch.ran(identity.id, kind);
        },
      }),
    playedBy: (peer, game, process) => history.watch.game(peer, game, process),
    onEvent: (event) => history.watch.saw(event),
  };
  const history = new StagedHistory(plan, staging);
  return history.play();
}

class StagedHistory extends History {
  readonly watch: StagedWatch;
  #looks_ms = 0;

  constructor(plan: StagedPlan, staging: Staging) {
    super(plan, null, staging);
    this.watch = new StagedWatch(this, plan);
  }

  override async play(): Promise<Outcome> {
    await super.play();
    await this.watch.end();
    return this.outcome();
  }

  protected override async look(): Promise<void> {
    await super.look();
    if (this.time.now_ms < this.#looks_ms) return;
    this.#looks_ms = this.time.now_ms + LOOKS_MS;
    this.watch.look();
  }
}

/** The violated property; null if there is none. */
export const playStagedSeed = async (seed: number): Promise<string | null> =>
  (await playStages(stagedPlanOf(seed))).violation;
