// How work is made up or changed: of pre-training in its own terms, of any other game byte by byte, as long as the hub takes it.
import type { AnyGame, Claim } from '../../games/game.ts';
import type { PretrainParams } from '../../games/pretrain-params.ts';
import type { Random } from '../../protocol/random.ts';
import { blurUpdate, emptyUpdate, randomUpdate, wholeRound } from './pretrain-update.ts';

export interface Forger {
  /** Whether the hub takes work of this form. */
  fits(work: Uint8Array): boolean;
  /** A little work claimed as the most that the settings allow. */
  whole(sample: Claim, random: Random): Claim;
  /** Work that nobody did. */
  noise(sample: Claim, random: Random): Claim;
  /** Work that says nothing. */
  zeros(sample: Claim, random: Random): Claim;
  /** Somebody's work, a little changed. */
  blurred(claim: Claim, random: Random): Claim;
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
  whole: (sample, random) => wholeRound(params, sample, random),
  noise: (sample, random) => randomUpdate(params, wholeRound(params, sample, random), random),
  zeros: (sample, random) => emptyUpdate(params, wholeRound(params, sample, random)),
  blurred: (claim, random) => blurUpdate(params, claim, random),
});

const TRIALS = 64;

function byteForger(fits: Forger['fits']): Omit<Forger, 'fits'> {
  /** The first that has the right form; else the last, which the hub will not take. */
  const firstThatFits = (claim: Claim, make: () => Uint8Array): Claim => {
    let work = make();
    for (let trial = 1; trial < TRIALS && !fits(work); trial++) work = make();
    return { ...claim, work };
  };
  return {
    whole: (sample) => sample,
    noise: (sample, random) => firstThatFits(sample, () => sample.work.map(() => random.below(256))),
    zeros: (sample) => ({ ...sample, work: new Uint8Array(sample.work.length) }),
    blurred: (claim, random) =>
      firstThatFits(claim, () => {
        const changed = claim.work.slice();
        changed[random.below(changed.length)] = random.below(256);
        return changed;
      }),
  };
}
