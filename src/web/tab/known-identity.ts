// Who this browser is so far, read without the code that makes and uses keys: a page that only looks needs no cryptography.
import { openTabStore } from './store.ts';

/** Where the two keys are kept. */
export const KEY_NAMES = { device: 'device', owner: 'owner' } as const;

export interface KnownIdentity {
  readonly device: string | null;
  readonly owner: string | null;
  /** The browser keeps nothing for this page. */
  readonly temporary: boolean;
}

/** Who this browser is, without making anything. */
export async function readIdentity(): Promise<KnownIdentity> {
  const store = await openTabStore();
  const [device, owner] = await Promise.all([store.get('keys', KEY_NAMES.device), store.get('keys', KEY_NAMES.owner)]);
  return { device: idOf(device), owner: idOf(owner), temporary: store.temporary };
}

const idOf = (key: unknown): string | null => {
  const id = typeof key === 'object' && key !== null && 'id' in key ? key.id : null;
  return typeof id === 'string' ? id : null;
};
