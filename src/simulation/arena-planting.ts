// Plants in an arena: in some rounds a newcomer of the run's owner submits work whose right verdict is known, and the owner reveals it after the round.
import { isFitToReveal, type Plant, plantedGame, plantPledge, plantReveal } from '../owner/planted-work.ts';
import type { Adversary } from './adversaries/adversary.ts';
import type { ArenaJudging } from './arena-judging.ts';
import type { ArenaNetwork } from './arena-network.ts';
import type { Participant } from './arena-participants.ts';

const planter: Adversary = {
  ...{ name: 'planter', does: "hands in bad work in the name of the run's owner", roles: ['worker'] },
  play: (game) => plantedGame(game, false),
};

export class ArenaPlanting {
  readonly #arena: ArenaNetwork;
  readonly #judging: ArenaJudging;
  #planters = 0;
  #participant: Participant | null = null;
  #plant: Plant | null = null;
  /** The submission, if it may be revealed. */
  #fit: string | null = null;

  constructor(arena: ArenaNetwork, judging: ArenaJudging) {
    this.#arena = arena;
    this.#judging = judging;
  }

  /** Before a round: in some rounds, and in the last, a newcomer of the owner joins. */
  async begin(): Promise<void> {
    if (!this.#isDue()) return;
    const { devices } = this.#arena.options;
    const name = `newcomer ${this.#planters++}`;
    const [participant] = this.#arena.participantsFor({
      name,
      place: name,
      role: 'worker',
      adversary: planter,
      runtime: devices[0].runtime,
    });
    await this.#arena.join(participant);
    this.#participant = participant;
    this.#arena.planter = participant.identity.id;
  }

  #isDue(): boolean {
    const { plant_every, rounds } = this.#arena.options;
    if (plant_every === 0) return false;
    const drawn = this.#arena.random.below(plant_every) === 0;
    // A last plant decides about the pay that is still withheld at the end, as a real owner would do it.
    return drawn || this.#arena.run.round === rounds - 1;
  }

  /** The pledge of a participant's work if it is planted; otherwise null. */
  async pledge(participant: Participant, work: string): Promise<string | null> {
    if (participant !== this.#participant) return null;
    this.#plant = { run: this.#arena.run.id, work, accepted: false };
    return plantPledge(this.#arena.owner, this.#plant);
  }

  /** When the verdicts are in: the owner's own check. */
  async look(): Promise<void> {
    const { run, options } = this.#arena;
    if (!this.#participant || !this.#plant) return;
    const { participant, plant } = { participant: this.#participant, plant: this.#plant };
    const all = [...run.submissions.values()];
    const own = all.findIndex(({ worker }) => worker === participant.identity.id);
    if (own < 0) return;
    const looking = { ...participant, game: options.game };
    const found = await this.#arena.call(participant, 'check', () =>
      this.#judging.findingOf(looking, all[own], own, { repeat_permille: 1000, looks: true, place: 0 }),
    );
    if (isFitToReveal(plant, [found])) this.#fit = all[own].id;
  }

  /** After the merge: reveals the plant if it may be revealed, and the newcomer leaves. */
  async end(): Promise<void> {
    const { owner } = this.#arena;
    if (!this.#participant) return;
    if (this.#fit) await this.#arena.must(owner, await plantReveal(owner, this.#plant!, this.#fit));
    await this.#arena.leave(this.#participant);
    this.#participant = this.#plant = this.#fit = this.#arena.planter = null;
  }
}
