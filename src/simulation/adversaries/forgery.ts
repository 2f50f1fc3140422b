// How work is made up or changed: of pre-training in its own terms, of any other game byte by byte, as long as the hub takes it.
import type { AnyGame, Claim } from '../../games/game.ts';
import type { PretrainParams } from '../../games/pretrain.ts';
import type { Random } from '../../protocol/random.ts';
import { blurUpdate, emptyUpdate, fullClaim, randomUpdate } from './pretrain-update.ts';

export interface Forger {
  /** Whether the hub takes work of this form. */
  fits(work: Uint8Array): boolean;
  /** The largest claim that the settings allow, on the ground of a sample. */
  most(sample: Claim): Claim;
  /** Work that nobody did. */
  noise(sample: Claim, random: Random): Uint8Array;
  /** Work that says nothing. */
  zeros(sample: Claim): Uint8Array;
  /** Somebody's work, a little changed. */
  blurred(claim: Claim, random: Random): Uint8Array;
}

export function forgerOf(game: AnyGame, params: unknown): Forger {
  const fits = (work: Uint8Array): boolean => {
    try {
      game.checkForm(params, work);
      return true;
    } catch {
      return false;
    }
  };
  return { fits, ...(game.name === 'pretrain' ? updateForger(params as PretrainParams) : byteForger(fits)) };
}

const updateForger = (params: PretrainParams): Omit<Forger, 'fits'> => ({
  most: (sample) => fullClaim(params, sample),
  noise: (sample, random) => randomUpdate(params, sample, random),
  zeros: (sample) => emptyUpdate(params, sample),
  blurred: (claim, random) => blurUpdate(params, claim, random),
});

const TRIALS = 64;

function byteForger(fits: Forger['fits']): Omit<Forger, 'fits'> {
  /** The first that has the right form; else the last, which the hub will not take. */
  const firstThatFits = (make: () => Uint8Array): Uint8Array => {
    let work = make();
    for (let trial = 1; trial < TRIALS && !fits(work); trial++) work = make();
    return work;
  };
  return {
    most: (sample) => sample,
    noise: ({ work }, random) => firstThatFits(() => work.map(() => random.below(256))),
    zeros: ({ work }) => new Uint8Array(work.length),
    blurred: ({ work }, random) =>
      firstThatFits(() => {
        const changed = work.slice();
        changed[random.below(work.length)] = random.below(256);
        return changed;
      }),
  };
}
