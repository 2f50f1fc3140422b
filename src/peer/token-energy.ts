// What a token takes on a device that only serves: its work's energy, prompts and judging included, by the tokens that it wrote meanwhile.
import type { EnergyPerToken } from '../protocol/serving-messages.ts';
import type { ServingCost } from '../serving/price.ts';

const LIMITS = {
  kept_part: 0.99, // of what was before, at each reading: with one every ten seconds, the last quarter of an hour decides
  least_tokens: 50, // of fewer, what loading the model took would be told
} as const;

/** What was taken since the last reading, and what that costs by now; prices in the owner's currency, null: no tariff says. */
export interface TookEnergy extends EnergyPerToken {
  readonly price_per_kwh: number | null;
  readonly wear_per_hour: number;
}

export interface TokenEnergy {
  /** As the device's keeper knows it. */
  took(energy: TookEnergy): void;
  /** A prompt that its caller pays for. */
  read(tokens: number): void;
  wrote(): void;
  /** undefined: not known yet. */
  now(): EnergyPerToken | undefined;
  /** What the tokens have cost, in micro-credits of one credit a unit of the owner's currency; null: not known, or no tariff says. */
  cost(): ServingCost | null;
}

export function openTokenEnergy(elapsed_ms: () => number): TokenEnergy {
  let newest: TookEnergy | null = null;
  let since_ms = elapsed_ms();
  let wrote_since = false;
  let joules = 0;
  let worked_ms = 0;
  let read = 0;
  let written = 0;
  const isKnown = (): boolean => joules > 0 && written >= LIMITS.least_tokens;
  return {
    took(energy) {
      const now_ms = elapsed_ms();
      newest = energy;
      joules = joules * LIMITS.kept_part + energy.joules;
      // A device that waits wears nothing off.
      worked_ms = worked_ms * LIMITS.kept_part + (wrote_since ? now_ms - since_ms : 0);
      read *= LIMITS.kept_part;
      written *= LIMITS.kept_part;
      wrote_since = false;
      since_ms = now_ms;
    },
    read(tokens) {
      read += tokens;
    },
    wrote() {
      written++;
      wrote_since = true;
    },
    now: () => (newest && isKnown() ? { how: newest.how, joules: joules / written } : undefined),
    cost() {
      if (!newest || newest.price_per_kwh === null || !isKnown()) return null;
      // Each rounded so that the cost of a token is never below what it was.
      return {
        energy_millijoules: Math.ceil(joules * 1000),
        micro_per_kwh: Math.ceil(Math.max(0, newest.price_per_kwh) * MICRO),
        worked_ms: Math.ceil(worked_ms),
        wear_micro_per_hour: Math.ceil(newest.wear_per_hour * MICRO),
        input_tokens: Math.floor(read),
        output_tokens: Math.floor(written),
      };
    },
  };
}

const MICRO = 1_000_000;
