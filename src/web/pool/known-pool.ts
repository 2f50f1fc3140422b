// What this page knows of the pool behind its hub: the models that it has, and the API key that a person has typed in.
import { createStore } from '../shell/store.ts';
import { type PoolAddress, type PoolModels, poolModels } from './pool-client.ts';

const KEY = 'potluck-api-key';

/** null until the hub has answered. */
export const pool = createStore<PoolModels | null>(null);

/** Where this page asks the pool, with the key that this browser keeps. */
export const poolAddress = (): PoolAddress => ({
  base_url: `${location.origin}/v1`,
  key: localStorage.getItem(KEY) ?? '',
});

/** Asks for the pool's models again. */
export async function refreshPool(): Promise<void> {
  pool.set(await poolModels(poolAddress()));
}

/** Keeps an API key in this browser, or forgets it where it is empty. */
export async function useKey(key: string): Promise<void> {
  if (key === '') localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, key);
  await refreshPool();
}
