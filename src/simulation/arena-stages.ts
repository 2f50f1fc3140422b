// Rounds of an arena whose game cuts its state into stages: its workers work all at once, and talk to each other through memory. Which of them gets
// which micro-batch depends on who was quicker, so these rounds are not one history a seed.
import type { RunState } from '../core/state.ts';
import type { Claim } from '../games/game.ts';
import { Air } from '../games/memory-channel.ts';
import type { Participant } from './arena-participants.ts';

/** How long who waits for others is waited for after the last honest worker, at the least, and beside the time that those took. */
const GRACE = { least_ms: 1000, times: 0.5 } as const;

/** The first stage: whoever holds it begins what all others go on with. */
const MAKERS = 0;

export class ArenaStages {
  readonly air: Air;

  constructor(run: string) {
    this.air = new Air(run);
  }

  /** A round has opened: who is here hears the others, and judges know who holds which stage. */
  begin({ peers }: RunState): void {
    const { stages, validators } = this.air;
    stages.clear();
    validators.clear();
    const proven = new Set<string>();
    for (const { id, present, role, stage, consecutive_valid } of peers.values()) {
      if (!present) continue;
      if (consecutive_valid > 0) proven.add(id);
      if (role === 'worker') stages.set(id, stage!);
      else validators.add(id);
    }
    this.air.proven = proven;
    this.air.held = new Map([...stages].map(([id, stage]) => [id, new Set([stage])]));
  }

  /**
   * All of these work at the same time. The round's deadline comes some time after the honest makers of micro-batches have finished: whoever waits
   * for others until then, or makes others wait, stops.
   */
  async work(
    workers: readonly Participant[],
    perform: (participant: Participant) => Promise<Claim | null>,
  ): Promise<readonly { readonly participant: Participant; readonly claim: Claim | null }[]> {
    const began_ms = performance.now();
    const working = workers.map(async (participant) => ({ participant, claim: await perform(participant) }));
    const isHonestMaker = ({ device, identity }: Participant): boolean =>
      device.adversary === null && this.air.stages.get(identity.id) === MAKERS;
    await Promise.all(working.filter((_, i) => isHonestMaker(workers[i])));
    const took_ms = performance.now() - began_ms;
    const stop = (): void => {
      for (const { time } of workers) time.up.abort();
    };
    const deadline = setTimeout(stop, Math.max(GRACE.least_ms, GRACE.times * took_ms));
    try {
      return await Promise.all(working);
    } finally {
      clearTimeout(deadline);
      this.air.dropWaiting();
    }
  }
}
