// A run whose first model is served before anybody trains it: random weights of a size that answers in milliseconds; and who serves it.
import { setTimeout as wait } from 'node:timers/promises';
import { type Fleet, FleetSchema } from '../src/protocol/fleet.ts';
import { tinyRun } from './hub-here.ts';

/** Creates the run `poems` on a hub, with a context for answers that can be cut in the middle; resolves with its id. */
export const createPoems = (url: string, min_workers = 1): Promise<string> =>
  tinyRun(url, { name: 'poems', context: 160, batch: 2, min_workers });

/** The hub's fleet, as soon as it fits. */
export async function fleetWhere(url: string, fits: (fleet: Fleet) => boolean): Promise<Fleet> {
  for (;;) {
    const fleet = FleetSchema.parse(await (await fetch(`${url}/fleet`)).json());
    if (fits(fleet)) return fleet;
    await wait(20);
  }
}
