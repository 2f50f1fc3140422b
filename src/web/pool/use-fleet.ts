// Who serves at this hub, asked for again while somebody looks.
import { useEffect, useState } from 'preact/hooks';
import { type Fleet, FleetSchema } from '../../protocol/fleet.ts';

const REFRESH_MS = 5000;

/** A hub that is open to others has no pool where its operator has named nobody who may ask. */
export const NO_POOL: Fleet = {
  ...{ devices: 0, answers: 0, rows: [] },
  day: { tokens: [], answers: [], no_room: [], waiting: [] },
};

/** The fleet; null: not known yet. */
export function useFleet(here: boolean): Fleet | null {
  const [fleet, setFleet] = useState<Fleet | null>(null);
  useEffect(() => {
    if (!here) return;
    const look = async (): Promise<void> => {
      const response = await fetch('/fleet').catch(() => null);
      if (response?.status === 404) return setFleet(NO_POOL);
      const found = FleetSchema.safeParse(await response?.json().catch(() => null));
      if (found.success) setFleet(found.data);
    };
    void look();
    const timer = setInterval(look, REFRESH_MS);
    return () => clearInterval(timer);
  }, [here]);
  return fleet;
}
