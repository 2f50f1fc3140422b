// A run whose first model is served before anybody trains it: random weights of a size that answers in milliseconds; and who serves it.
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type Fleet, FleetSchema } from '../src/protocol/fleet.ts';
import type { Network } from './network.ts';

/** With a context for answers that can be cut in the middle. */
const MODEL = '--layers 1 --width 16 --heads 2 --feed-forward 32 --context 160 --batch 2'.split(' ');

/** Creates the run `poems` on a hub; resolves with its id. */
export async function createPoems(net: Network, url: string, ...more: string[]): Promise<string> {
  const data = ['--data', join(net.folder, 'text.txt'), '--name', 'poems', '--open', '--json'];
  const created = net.ask('run', 'create', '--hub', url, ...data, ...MODEL, ...more);
  return String((await created.line((line) => line.type === 'created')).run);
}

/** The hub's fleet, as soon as it fits. */
export async function fleetWhere(url: string, fits: (fleet: Fleet) => boolean): Promise<Fleet> {
  for (;;) {
    const fleet = FleetSchema.parse(await (await fetch(`${url}/fleet`)).json());
    if (fits(fleet)) return fleet;
    await wait(20);
  }
}
