// The ids of this browser's device and person, without loading the code that signs.
import { useEffect, useState } from 'preact/hooks';
import { type KnownIdentity, readIdentity } from '../tab/known-identity.ts';

export type OwnIds = Pick<KnownIdentity, 'device' | 'owner'>;

/** Read once when the component mounts; both missing at first. */
export function useOwnIds(): OwnIds {
  const [ids, setIds] = useState<OwnIds>({ device: null, owner: null });
  useEffect(() => {
    let wanted = true;
    readIdentity().then(
      (known) => wanted && setIds(known),
      () => {}, // without readable storage there are no ids
    );
    return () => {
      wanted = false;
    };
  }, []);
  return ids;
}
