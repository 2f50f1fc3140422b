// What a device asks for its answers: what its owner says, or else what they cost it: its floor by tariff, wear and the energy of its tokens.
import { creditsText } from '../core/serving/credit.ts';
import { SERVE_LIMITS } from '../protocol/serving-messages.ts';
import { priceFloor, type ServingCost, type TokenPrice } from '../serving/price.ts';

const LIMITS = {
  every_ms: 600_000, // a new floor at most so often: callers' credit is held by prices, which should last for an answer
  // What reading a token costs at most, in thousandths of writing one: a prefill reads many at once. Of more, a caller with a long
  // prompt would pay for the answers of others.
  input_permille: 250,
} as const;

export const FREE: TokenPrice = { input_micro: 0, output_micro: 0 };
export const isSamePrice = (one: TokenPrice, other: TokenPrice): boolean =>
  one.input_micro === other.input_micro && one.output_micro === other.output_micro;

export interface AskedPrice {
  now(): TokenPrice;
  /** Nobody pays this device where it serves: whoever asks for no more than its floor serves for nothing there, as without a tariff. */
  unpaid(): void;
}

export interface AskedPriceOptions {
  /** What the owner says; null: nothing. */
  readonly said: TokenPrice | null;
  /** What its tokens have cost it; null: nobody knows. */
  cost(): ServingCost | null;
  elapsed_ms(): number;
  /** Hears what the owner should know. */
  tell(news: AskedNews): void;
}

export type AskedNews =
  | ({ readonly type: 'asks'; readonly message: string } & TokenPrice)
  | { readonly type: 'problem'; readonly code: 'price-below-floor'; readonly message: string };

export function openAskedPrice({ said, cost, elapsed_ms, tell }: AskedPriceOptions): AskedPrice {
  let price = said ?? FREE;
  let priced_ms = Number.NEGATIVE_INFINITY;
  let isUnpaid = false;
  let warned = false;
  return {
    now() {
      if (elapsed_ms() - priced_ms < LIMITS.every_ms || isUnpaid) return price;
      const spent = cost();
      const found = spent && priceFloor(spent, LIMITS.input_permille);
      // A tariff that was taken back leaves nothing to ask for.
      if (!found) return said ?? FREE;
      priced_ms = elapsed_ms();
      const floor = mostAllowed(found);
      if (!said) {
        const message = `asks what answers cost it by its owner's tariff: ${priceWords(floor)}`;
        if (!isSamePrice(floor, price)) tell({ type: 'asks', ...floor, message });
        price = floor;
      } else if (!warned && isBelow(said, floor)) {
        warned = true;
        const message = `asks ${priceWords(said)}; by its owner's tariff that costs it ${priceWords(floor)}`;
        tell({ type: 'problem', code: 'price-below-floor', message });
      }
      return price;
    },
    unpaid() {
      if (said || isUnpaid) return;
      isUnpaid = true;
      price = FREE;
      tell({ type: 'asks', ...price, message: 'asks nothing here, because nobody could pay it' });
    },
  };
}

const isBelow = (one: TokenPrice, floor: TokenPrice): boolean =>
  one.input_micro < floor.input_micro || one.output_micro < floor.output_micro;

const mostAllowed = ({ input_micro, output_micro }: TokenPrice): TokenPrice => ({
  input_micro: Math.min(input_micro, SERVE_LIMITS.price),
  output_micro: Math.min(output_micro, SERVE_LIMITS.price),
});

const priceWords = ({ input_micro, output_micro }: TokenPrice): string =>
  `${creditsText(input_micro)} for a million tokens read, ${creditsText(output_micro)} written`;
