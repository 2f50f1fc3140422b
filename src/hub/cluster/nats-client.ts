// Finds the client of NATS: beside this program in a checkout; the package that people install has none, and says how it gets one (docs/decisions/0054).
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { z } from 'zod';
import { enginesFolder } from '../../serving/llama-package.ts';
import { HubError } from '../errors.ts';

export type NatsClient = typeof import('@nats-io/transport-node');

const NAME = '@nats-io/transport-node';
/** The version whose inner parts nats-bus.ts knows. */
export const NATS_CLIENT_VERSION = '3.4.0';

const Manifest = z.object({ version: z.string() });

/**
 * The client; it is read at the first call. Throws HubError `no-bus`, which says what to do.
 * @param folders where it is searched, in this order
 */
export function natsClient(folders: readonly string[] = [import.meta.dirname, enginesFolder()]): NatsClient {
  const command = `npm install --ignore-scripts --prefix ${JSON.stringify(enginesFolder())} ${NAME}@${NATS_CLIENT_VERSION}`;
  for (const folder of folders) {
    const require = createRequire(join(folder, 'from-here.js'));
    let manifest: unknown;
    try {
      manifest = require(`${NAME}/package.json`);
    } catch {
      continue;
    }
    const { version } = Manifest.parse(manifest);
    if (version === NATS_CLIENT_VERSION) return require(NAME);
    const fact = `expected version ${NATS_CLIENT_VERSION} of the client of NATS, found ${version}`;
    throw new HubError('no-bus', `${fact}; this installs it: ${command}`, { command });
  }
  throw new HubError('no-bus', `the client of NATS is not installed; this installs it: ${command}`, { command });
}
