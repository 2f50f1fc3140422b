// A hub as a process of its own, on a free port, as benches measure it.
import { join } from 'node:path';
import { type Child, startChild } from '../cli/children.ts';
import { BenchError } from './errors.ts';

export interface HubProcess {
  readonly child: Child;
  /** Rejects with BenchError `engine-failed` if the hub ends before. */
  readonly listening: Promise<{ readonly url: string; readonly hub: string }>;
}

/** Starts a hub whose files lie under `folder`. `more`: flags of `potluck hub`; any free port by default. */
export function startHub(folder: string, ...more: readonly string[]): HubProcess {
  const { promise, resolve, reject } = Promise.withResolvers<{ url: string; hub: string }>();
  promise.catch(() => {}); // the caller that awaits it sees the error
  const child = startChild({
    args: ['hub', ...(more.includes('--port') ? [] : ['--port', '0']), '--folder', join(folder, 'hub'), ...more],
    restart_ms: null,
    onLine: (line) => {
      if (line.type === 'listening') resolve({ url: String(line.url), hub: String(line.hub) });
    },
    onDeath: (lastWords) => reject(new BenchError('engine-failed', `the hub ended: ${lastWords}`)),
  });
  return { child, listening: promise };
}
