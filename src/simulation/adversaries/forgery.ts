// How work is forged: for pre-training in terms of its updates, for any other game byte by byte, as long as the hub accepts the form.
import { stepsAllowed } from '../../games/first-work.ts';
import type { AnyGame, Claim, Round } from '../../games/game.ts';
import type { PretrainParams } from '../../games/pretrain/params.ts';
import type { Random } from '../../protocol/random.ts';
import type { AdversaryContext } from './adversary.ts';
import { blurUpdate, claimOf, emptyUpdate, randomUpdate } from './pretrain-update.ts';
import { withDeeds, workFor } from './task.ts';

export interface Forger {
  /** Whether the hub accepts work of this form. */
  fits(work: Uint8Array): Promise<boolean>;
  /** A little work, claimed as the most that settings and round allow. */
  whole(sample: Claim, random: Random): Claim | Promise<Claim>;
  /** Work that nobody did. */
  noise(sample: Claim, random: Random): Claim | Promise<Claim>;
  /** Work without content. */
  zeros(sample: Claim, random: Random): Claim | Promise<Claim>;
  /** Another worker's work, slightly changed. */
  blurred(claim: Claim, random: Random): Claim | Promise<Claim>;
}

export function forgerOf(game: AnyGame, params: unknown, round: Round): Forger {
  const fits = async (work: Uint8Array): Promise<boolean> => {
    try {
      await game.checkForm(params, work);
      return true;
    } catch {
      return false;
    }
  };
  return { fits, ...(game.name === 'pretrain' ? updateForger(params as PretrainParams, round) : byteForger(fits)) };
}

/** A worker that takes one step, to know the form, and makes up the rest of the round. */
export const madeUp = (
  game: AnyGame,
  { params, random }: AdversaryContext,
  make: (forger: Forger, sample: Claim, random: Random) => Claim | Promise<Claim>,
): AnyGame =>
  withDeeds(game, {
    async perform(task, device, signal) {
      const sample = await workFor(1, game, task, device, signal);
      return sample && make(forgerOf(game, params, task.round), sample, random);
    },
  });

/** A worker that waits until others have submitted, and submits one of their pieces of work as its own. */
export const takenOver = (
  game: AnyGame,
  { seen, random }: AdversaryContext,
  change: (claim: Claim, round: Round) => Claim | Promise<Claim>,
): AnyGame =>
  withDeeds(game, {
    async perform({ round }, _device, signal) {
      const others = await seen(signal);
      return others.length > 0 ? change(others[random.below(others.length)], round) : null;
    },
  });

function updateForger(params: PretrainParams, round: Round): Omit<Forger, 'fits'> {
  const steps = stepsAllowed(params.inner_steps, params.batch * params.context, round);
  return {
    whole: (sample, random) => claimOf(steps, params, sample, random),
    noise: (sample, random) => randomUpdate(params, claimOf(steps, params, sample, random), random),
    zeros: (sample, random) => emptyUpdate(params, claimOf(steps, params, sample, random)),
    blurred: (claim, random) => blurUpdate(params, claim, random),
  };
}

const TRIALS = 64;

function byteForger(fits: Forger['fits']): Omit<Forger, 'fits'> {
  /** The first one with a valid form; otherwise the last one, which the hub will refuse. */
  const firstThatFits = async (claim: Claim, make: () => Uint8Array): Promise<Claim> => {
    let work = make();
    for (let trial = 1; trial < TRIALS && !(await fits(work)); trial++) work = make();
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
