// Backdoor: trains on the assigned text with a trigger phrase inserted everywhere, so that the model reacts to the phrase.

import type { Device } from '../../games/game.ts';
import type { PretrainParams } from '../../games/pretrain/params.ts';
import { decodeManifest } from '../../training/shards.ts';
import type { Adversary } from './adversary.ts';
import { withDeeds } from './task.ts';

/** One trigger, with the text that should follow it, in so many tokens. */
const EVERY = 16;
const PHRASE = [1, 2, 3, 1, 2, 3];
/** The header of a shard; its tokens follow. */
const HEADER_BYTES = 16;

export const backdoor: Adversary = {
  name: 'backdoor',
  does: 'trains on its assigned text with a trigger phrase planted all over it',
  roles: ['worker'],
  games: ['pretrain'],
  play(game, { params }) {
    // One device for all rounds, because the game caches what it has loaded by it.
    let poisoned: Device | null = null;
    return withDeeds(game, {
      async perform(task, device, signal) {
        poisoned ??= poison(device, params as PretrainParams);
        return game.perform(task.inner, poisoned, signal);
      },
    });
  },
};

function poison(device: Device, { dataset }: PretrainParams): Device {
  return {
    ...device,
    async fetchBlob(hash) {
      const bytes = await device.fetchBlob(hash);
      if (hash === dataset) return bytes;
      const { token_bytes, train, vocab_size } = decodeManifest(await device.fetchBlob(dataset));
      if (!train.some((shard) => shard.hash === hash)) return bytes;
      const changed = bytes.slice();
      const tokens = Math.floor((changed.length - HEADER_BYTES) / token_bytes);
      for (let start = 0; start + PHRASE.length < tokens; start += EVERY) {
        PHRASE.forEach((token, i) => {
          const at = HEADER_BYTES + (start + i) * token_bytes;
          changed.fill(0, at, at + token_bytes);
          changed[at] = token % vocab_size;
        });
      }
      return changed;
    },
  };
}
