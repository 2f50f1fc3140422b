// Liars for the trials: the updates of workers that want to spoil a round. They know the weight differences of all honest workers.
import type { ParameterSpec, Weights } from '../model/config.ts';
import { type Random, seededRandom } from '../protocol/random.ts';

/** The attacks, each on the difference of weights before it is made sparse. */
export const ATTACKS = {
  /** Noise with the norm of an honest difference. */
  noise: (mean, loudness, own) => mean.map(() => loudness * uniform(own)),
  /** The same noise from every liar, so that they agree with each other. */
  'same noise': (mean, loudness, _, shared) => mean.map(() => loudness * uniform(shared)),
  /** The opposite of the honest mean. */
  flip: (mean) => mean.map((value) => -value),
  /** The opposite, ten times as large. */
  'loud flip': (mean) => mean.map((value) => -10 * value),
  /** Half of the values honest, to look credible, the others the opposite. */
  'half flip': (mean, _, __, shared) => mean.map((value) => (shared.below(2) === 0 ? value : -value)),
  /** A quarter of the values the opposite: about as much as the rule `agreement` accepts. */
  'quarter flip': (mean, _, __, shared) => mean.map((value) => (shared.below(4) > 0 ? value : -value)),
  /** The opposite at values where honest differences are small, so that hardly any honest worker sends them. */
  alone: (mean, loudness) => {
    const middle = mean.map(Math.abs).sort()[mean.length >> 1];
    return mean.map((value) => (Math.abs(value) > middle ? 0 : -Math.sign(value) * loudness));
  },
} satisfies Record<string, Attack>;

/** From the honest mean difference of a weight, its root mean square, the liar's own stream of randomness, and all liars' common one. */
type Attack = (mean: Float32Array, loudness: number, own: Random, shared: Random) => Float32Array;

export type AttackName = keyof typeof ATTACKS;

/** Uniform, with a root mean square of 1. */
const uniform = (random: Random): number => Math.sqrt(3) * (random.uint32() / 2 ** 31 - 1);

/** The weight difference that each liar claims in this round. */
export function lies(
  attack: AttackName,
  liars: number,
  specs: readonly ParameterSpec[],
  honest: readonly Weights[],
  seed: string,
): Map<string, Float32Array>[] {
  return Array.from({ length: liars }, (_, liar) => {
    const own = seededRandom('liar', seed, liar);
    const shared = seededRandom('liars', seed);
    return new Map(
      specs.map(({ name }) => {
        const mean = honest[0]
          .get(name)!
          .map((_, i) => honest.reduce((sum, delta) => sum + delta.get(name)![i], 0) / honest.length);
        const loudness = Math.sqrt(honest[0].get(name)!.reduce((sum, value) => sum + value * value, 0) / mean.length);
        return [name, (ATTACKS[attack] as Attack)(mean, loudness, own, shared)];
      }),
    );
  });
}
