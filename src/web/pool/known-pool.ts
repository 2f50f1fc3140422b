// What this page knows of the pool behind its hub: the models that it has, and the API key that a person has typed in.
import { createStore } from '../shell/store.ts';
import { type PoolAddress, type PoolModels, poolModels } from './pool-client.ts';

const KEY = 'potluck-api-key';
/** The key that a person has typed in and not asked this browser to keep. */
let typed = '';

/** null until the hub has answered. */
export const pool = createStore<PoolModels | null>(null);

/** Where this page asks the pool, with the key that was typed in, or that this browser keeps. */
export const poolAddress = (): PoolAddress => ({
  base_url: `${location.origin}/v1`,
  key: typed || (localStorage.getItem(KEY) ?? ''),
});

/** Asks for the pool's models again. */
export async function refreshPool(): Promise<void> {
  pool.set(await poolModels(poolAddress()));
}

/** Uses an API key from now on, and keeps it in this browser if the person wants that; an empty one is forgotten. */
export async function useKey(key: string, keep = false): Promise<void> {
  typed = key;
  if (keep && key !== '') localStorage.setItem(KEY, key);
  else localStorage.removeItem(KEY);
  await refreshPool();
}
