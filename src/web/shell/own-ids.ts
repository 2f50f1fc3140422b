// Which device and which person this browser is so far: only the ids, without the code that signs.
import { useEffect, useState } from 'preact/hooks';
import { openTabStore } from '../tab/store.ts';

export interface OwnIds {
  readonly device: string | null;
  readonly owner: string | null;
}

const idOf = (kept: unknown): string | null =>
  typeof kept === 'object' && kept !== null && 'id' in kept && typeof kept.id === 'string' ? kept.id : null;

/** Read once when the component comes; nobody at first. */
export function useOwnIds(): OwnIds {
  const [ids, setIds] = useState<OwnIds>({ device: null, owner: null });
  useEffect(() => {
    let wanted = true;
    const read = async (): Promise<void> => {
      const store = await openTabStore();
      const [device, owner] = await Promise.all([store.get('keys', 'device'), store.get('keys', 'owner')]);
      if (wanted) setIds({ device: idOf(device), owner: idOf(owner) });
    };
    read().catch(() => {}); // a browser that does not say is nobody
    return () => {
      wanted = false;
    };
  }, []);
  return ids;
}
