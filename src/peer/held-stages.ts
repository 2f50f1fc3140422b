// Who holds which stage of a model now, and who has held it in the open round, as its views tell: who judges the round's work asks for that when
// some have left already.
import type { RunView } from '../protocol/messages.ts';
import { roundKey } from './role.ts';

export class HeldStages {
  /** '': nothing is known of a round before. */
  #round = '';
  #isWhole = false;
  #held = new Map<string, Set<number>>();
  #stages: ReadonlyMap<string, number> = new Map();
  #proven: ReadonlySet<string> = new Set();

  see(view: RunView): void {
    const round = roundKey(view);
    if (round !== this.#round) {
      // Who has seen the round before, or that none was open yet, has seen this one open.
      this.#isWhole = this.#round !== '' || view.phase === 'gathering';
      this.#round = round;
      this.#held = new Map();
    }
    const roster = view.roster ?? [];
    this.#stages = new Map(roster.map(([device, stage]) => [device, stage]));
    this.#proven = new Set(roster.flatMap(([device, , proven]) => (proven ? device : [])));
    for (const [device, stage] of roster) {
      const stages = this.#held.get(device) ?? new Set();
      this.#held.set(device, stages.add(stage));
    }
  }

  /** The connection is lost: nobody knows who comes and goes in the meantime. */
  away(): void {
    this.#round = '';
    this.#isWhole = false;
    this.#stages = new Map();
    this.#proven = new Set();
  }

  /** By the newest view, as DeviceChannel has them. */
  get stages(): ReadonlyMap<string, number> {
    return this.#stages;
  }

  get proven(): ReadonlySet<string> {
    return this.#proven;
  }

  /** null: a part of the round was not seen. */
  get held(): ReadonlyMap<string, ReadonlySet<number>> | null {
    return this.#isWhole ? this.#held : null;
  }
}
