// Which price holds for what a hub asks: that of the newest offer, or that of the one before while the newest is still on its way.
import type { PayWords } from '../protocol/serving-messages.ts';
import type { TokenPrice } from '../serving/price.ts';
import { FREE, isSamePrice } from './asked-price.ts';

/** A hub that has not heard of a new price by then does not want to. */
const UNDERWAY_MS = 10_000;

export interface OfferedPrices {
  offered(price: TokenPrice): void;
  /** What an answer is paid by; null: it was not asked for at what this device has offered. */
  of(pay: PayWords | undefined): TokenPrice | null;
}

export function openOfferedPrices(elapsed_ms: () => number): OfferedPrices {
  let newest: TokenPrice | null = null;
  let before: { readonly price: TokenPrice; readonly until_ms: number } | null = null;
  return {
    offered(price) {
      if (newest && isSamePrice(newest, price)) return;
      before = newest && { price: newest, until_ms: elapsed_ms() + UNDERWAY_MS };
      newest = price;
    },
    of(pay) {
      const said = pay ? { input_micro: pay.price_in, output_micro: pay.price_out } : FREE;
      if (newest && isSamePrice(newest, said)) return newest;
      return before && elapsed_ms() <= before.until_ms && isSamePrice(before.price, said) ? before.price : null;
    },
  };
}
