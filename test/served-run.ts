// A run whose first model is served before anybody trains it: random weights of a size that answers in milliseconds.
import { join } from 'node:path';
import type { Network } from './network.ts';

/** With a context for answers that can be cut in the middle. */
const MODEL = '--layers 1 --width 16 --heads 2 --feed-forward 32 --context 160 --batch 2'.split(' ');

/** Creates the run `poems` on a hub; resolves with its id. */
export async function createPoems(net: Network, url: string, ...more: string[]): Promise<string> {
  const data = ['--data', join(net.folder, 'text.txt'), '--name', 'poems', '--open', '--json'];
  const created = net.ask('run', 'create', '--hub', url, ...data, ...MODEL, ...more);
  return String((await created.line((line) => line.type === 'created')).run);
}
