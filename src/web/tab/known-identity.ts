// The ids of this browser, read without the code that makes and uses keys, because a page that only looks needs no cryptography.
import { openTabStore } from './store.ts';

/** Where the two keys are stored. */
export const KEY_NAMES = { device: 'device', owner: 'owner' } as const;

export interface KnownIdentity {
  readonly device: string | null;
  readonly owner: string | null;
  /** The browser stores nothing for this page. */
  readonly temporary: boolean;
}

/** The stored identity; makes nothing. */
export async function readIdentity(): Promise<KnownIdentity> {
  const store = await openTabStore();
  const [device, owner] = await Promise.all([store.get('keys', KEY_NAMES.device), store.get('keys', KEY_NAMES.owner)]);
  return { device: idOf(device), owner: idOf(owner), temporary: store.temporary };
}

const idOf = (key: unknown): string | null => {
  const id = typeof key === 'object' && key !== null && 'id' in key ? key.id : null;
  return typeof id === 'string' ? id : null;
};
