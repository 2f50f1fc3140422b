// Where the NATS servers are, and with what credentials: addresses from the command line, secrets from the environment alone.
import { readFileSync } from 'node:fs';
import { HubError } from '../errors.ts';

/** How to reach NATS. */
export interface NatsAccess {
  /** `nats://host:port`, or `tls://host:port` */
  readonly servers: readonly string[];
  readonly user?: string;
  readonly password?: string;
  /** The seed of an nkey: `SU…`. */
  readonly nkey_seed?: string;
  /** Certificates that vouch for the servers', beside those that the machine trusts. */
  readonly ca?: string;
  /** This process's own certificate and key, where the servers ask for one. */
  readonly certificate?: string;
  readonly key?: string;
}

export const NATS_ENVIRONMENT = {
  user: 'NATS_USER',
  password: 'NATS_PASSWORD',
  nkey_file: 'NATS_NKEY',
  ca_file: 'NATS_CA',
  certificate_file: 'NATS_CERT',
  key_file: 'NATS_KEY',
} as const;

const EXAMPLE = 'nats://host:4222[,nats://host:4222…]';
/** A user's seed, by NATS's encoding. */
const USER_SEED = /SU[A-Z2-7]{56}/;

/**
 * Reads the addresses that `--nats` names and what the environment says. Throws HubError `no-bus` where either is not as it has to be.
 * @param readFile as readFileSync for text
 */
export function natsAccess(
  addresses: string,
  environment: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string = (path) => readFileSync(path, 'utf8'),
): NatsAccess {
  const servers = addresses.split(',').map((address) => serverOf(address.trim()));
  const read = (name: string): string | undefined => {
    const path = environment[name];
    if (!path) return undefined;
    try {
      return readFile(path);
    } catch (error) {
      throw new HubError('no-bus', `${name}: expected a file, ${(error as Error).message}`);
    }
  };
  const user = environment[NATS_ENVIRONMENT.user];
  const password = environment[NATS_ENVIRONMENT.password];
  if ((user === undefined) !== (password === undefined)) {
    throw new HubError('no-bus', 'expected both NATS_USER and NATS_PASSWORD, or neither');
  }
  const nkey = read(NATS_ENVIRONMENT.nkey_file);
  const seed = nkey === undefined ? undefined : USER_SEED.exec(nkey)?.[0];
  if (nkey !== undefined && seed === undefined) {
    throw new HubError('no-bus', `${NATS_ENVIRONMENT.nkey_file}: expected a file with a user's seed (SU…), found none`);
  }
  const [certificate, key] = [read(NATS_ENVIRONMENT.certificate_file), read(NATS_ENVIRONMENT.key_file)];
  if ((certificate === undefined) !== (key === undefined)) {
    throw new HubError('no-bus', 'expected both NATS_CERT and NATS_KEY, or neither');
  }
  const ca = read(NATS_ENVIRONMENT.ca_file);
  return { servers, user, password, nkey_seed: seed, ca, certificate, key };
}

function serverOf(address: string): string {
  const url = URL.parse(address);
  // Arguments are for everybody on the machine to read.
  if (url?.username || url?.password) {
    const place = `${url.protocol}//${url.host}`;
    throw new HubError(
      'no-bus',
      `${place}: expected an address without user and password, which belong into NATS_USER and NATS_PASSWORD`,
    );
  }
  if (!url || !['nats:', 'tls:'].includes(url.protocol) || url.hostname === '' || !['', '/'].includes(url.pathname)) {
    throw new HubError('no-bus', `expected NATS servers as ${EXAMPLE}, got "${address.slice(0, 200)}"`);
  }
  return `${url.protocol}//${url.host}`;
}
