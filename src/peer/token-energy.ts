// What a token takes on a device that only serves: its work's energy, prompts and judging included, by the tokens that it wrote meanwhile.
import type { EnergyPerToken } from '../protocol/serving-messages.ts';

const LIMITS = {
  kept_part: 0.99, // of what was before, at each reading: with one every ten seconds, the last quarter of an hour decides
  least_tokens: 50, // of fewer, what loading the model took would be told
} as const;

export interface TokenEnergy {
  /** What was taken since the last reading, as the device's keeper knows it. */
  took(energy: EnergyPerToken): void;
  wrote(): void;
  /** undefined: not known yet. */
  now(): EnergyPerToken | undefined;
}

export function openTokenEnergy(): TokenEnergy {
  let how: EnergyPerToken['how'] = 'stated';
  let joules = 0;
  let tokens = 0;
  return {
    took(energy) {
      how = energy.how;
      joules = joules * LIMITS.kept_part + energy.joules;
      tokens *= LIMITS.kept_part;
    },
    wrote() {
      tokens++;
    },
    now: () => (joules > 0 && tokens >= LIMITS.least_tokens ? { how, joules: joules / tokens } : undefined),
  };
}
