// Whether what a run trains fits into this device's memory, as far as a browser says how much it has.
import type { AnyGame } from '../../games/game.ts';
import { TabError } from './game-of.ts';

const LIMITS = {
  wasm_bytes: 2 ** 32, // all that WASM can address
  bytes_a_dense_byte: 16, // weights, moments, gradients, and the copies of them that a step on WASM makes
  memory_part: 0.5, // of the device's memory: it is its owner's
} as const;

/** Takes only work that fits. Browsers say how much memory a device has only roughly, and some not at all. Throws TabError. */
export async function checkMemory(game: AnyGame, params: unknown): Promise<void> {
  const { dense_bytes, memory_bytes = 0 } = await game.sizes(params);
  const needed_bytes = Math.max(memory_bytes, LIMITS.bytes_a_dense_byte * dense_bytes);
  const { deviceMemory } = navigator as { readonly deviceMemory?: number };
  const device_bytes = deviceMemory ? deviceMemory * 2 ** 30 * LIMITS.memory_part : LIMITS.wasm_bytes;
  const most_bytes = Math.min(LIMITS.wasm_bytes, device_bytes);
  if (needed_bytes <= most_bytes) return;
  const [needed, most] = [needed_bytes, most_bytes].map((bytes) => (bytes / 2 ** 30).toFixed(1));
  const message = `training this model takes about ${needed} GiB, this tab may use ${most} GiB`;
  throw new TabError('too-large-for-this-device', message, { needed_bytes, most_bytes });
}
