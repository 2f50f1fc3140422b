// Who joins and leaves an arena before a round opens: devices that are absent for a while, and those that take a new key each time.
import { roundSeed } from '../core/events/round-opened.ts';
import { openDraw } from '../core/rounds/panel.ts';
import { sessionOf } from '../core/rounds/presence.ts';
import type { ArenaNetwork } from './arena-network.ts';
import { type ArenaDevice, identityOf } from './arena-participants.ts';

export class ArenaComings {
  readonly #arena: ArenaNetwork;
  #keys = 0;

  constructor(arena: ArenaNetwork) {
    this.#arena = arena;
  }

  async begin(): Promise<void> {
    const { run, participants, options } = this.#arena;
    for (const device of options.devices) {
      const { present, keys } = device.adversary ?? {};
      // The rules give a validator's stake to its first key, so another key would have none.
      const another = keys !== undefined && device.stake === undefined;
      const away = present?.(run.round) === false;
      const own = participants.filter((participant) => participant.device === device);
      const here = own.filter(({ identity }) => sessionOf(run, identity.id).present);
      if (another || away) for (const participant of here) await this.#arena.leave(participant);
      if (away) continue;
      if (another) {
        for (const participant of this.#arena.participantsFor(device, this.#bestOf(device, keys)))
          await this.#arena.join(participant);
      } else if (present && here.length === 0) for (const participant of own) await this.#arena.join(participant);
    }
  }

  /**
   * The place of the key that would get the most accomplices as judges if the draw followed from what is known before the round. An adversary
   * that grinds keys can do no more.
   */
  #bestOf(device: ArenaDevice, keys: number): string {
    const { run, state, options } = this.#arena;
    const friends = this.#arena.friendsOf(device);
    const next = openDraw(state, { ...run, draw: roundSeed(run) });
    const places = Array.from({ length: keys }, () => `${device.place}/key ${++this.#keys}`);
    const suits = (place: string): number => {
      const worker = identityOf(options.seed, place).id;
      return next({ worker }, run.rules.judges).filter((id) => friends.has(id)).length;
    };
    const ranked = places.map((place) => ({ place, friends: suits(place) }));
    return ranked.reduce((best, other) => (other.friends > best.friends ? other : best)).place;
  }
}
