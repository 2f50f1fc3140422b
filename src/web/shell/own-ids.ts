// Which device and which person this browser is so far: only the ids, without the code that signs.
import { useEffect, useState } from 'preact/hooks';
import { type KnownIdentity, readIdentity } from '../tab/known-identity.ts';

export type OwnIds = Pick<KnownIdentity, 'device' | 'owner'>;

/** Read once when the component comes; nobody at first. */
export function useOwnIds(): OwnIds {
  const [ids, setIds] = useState<OwnIds>({ device: null, owner: null });
  useEffect(() => {
    let wanted = true;
    readIdentity().then(
      (known) => wanted && setIds(known),
      () => {}, // a browser that does not say is nobody
    );
    return () => {
      wanted = false;
    };
  }, []);
  return ids;
}
