// Workers that train as they should and hand in something that harms the model: pre-training only.
import type { Device } from '../../games/game.ts';
import type { PretrainParams } from '../../games/pretrain/params.ts';
import { decodeManifest } from '../../training/shards.ts';
import type { Adversary } from './adversary.ts';
import { flipSome, mapTables, trainedThen } from './pretrain-update.ts';
import { withDeeds } from './task.ts';

/** Does the work and submits the opposite of the result. */
export const signFlip: Adversary = {
  name: 'sign-flip',
  does: 'trains honestly and hands in the update with its sign turned',
  roles: ['worker'],
  games: ['pretrain'],
  play: (game, context) =>
    trainedThen(game, context, (update) => mapTables(update, (value) => (value === 0 ? 0 : -value))),
};

/** A power of two, which the table's eight bits of precision represent exactly. */
const FACTOR = 16;

/** Submits the honest update many times as large, to count more. */
export const scaled: Adversary = {
  name: 'scaled',
  does: `trains honestly and hands in ${FACTOR} times its update`,
  roles: ['worker'],
  games: ['pretrain'],
  play: (game, context) => trainedThen(game, context, (update) => mapTables(update, (value) => value * FACTOR)),
};

/** Cosine to the honest update is 1 − 2/SLOW_POISON_ONE_IN: 0.9. */
const SLOW_POISON_ONE_IN = 20;

/** Mostly honest with a little harm in every round, so that each round by itself looks like noise. */
export const slowPoison: Adversary = {
  name: 'slow-poison',
  does: `trains honestly and turns one value in ${SLOW_POISON_ONE_IN}, the same ones in every round, so that each update still helps`,
  roles: ['worker'],
  games: ['pretrain'],
  play: (game, context) =>
    trainedThen(game, context, (update) => {
      let at = 0;
      return flipSome(update, () => at++ % SLOW_POISON_ONE_IN === 0);
    }),
};

/** One trigger, with the text that should follow it, in so many tokens. */
const EVERY = 16;
const PHRASE = [1, 2, 3, 1, 2, 3];
/** The header of a shard; its tokens follow. */
const HEADER_BYTES = 16;

/** Trains on the assigned text with a trigger phrase inserted everywhere, so that the model reacts to the phrase. */
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
