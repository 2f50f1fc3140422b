// The address that a request is counted under: IPv4, or the /64 of IPv6, as seen through the proxies that the operator names (X-Forwarded-For).
import type { IncomingMessage } from 'node:http';
import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { HubError } from './errors.ts';

/** Requests through a proxy that does not pass the client's address on are all counted as one client. */
export const UNKNOWN_BEHIND_PROXY = 'unknown behind proxy';

/** This machine. */
const LOOPBACK = ['127.0.0.0/8', '::1'];
const OWN = blockList(LOOPBACK);

export interface AskerOptions {
  /** Addresses and networks (`10.0.0.7`, `2001:db8::/32`) of trusted proxies; by default those of this machine. */
  readonly proxies?: readonly string[];
  /** There is a proxy in front of the hub, so requests from this machine without a client address are limited too. */
  readonly proxied?: boolean;
}

/** The key that a request is counted under; null for a program of this machine, which is not limited. */
export type AddressOf = (request: IncomingMessage) => string | null;

/** Whether a hub with this listening address, or a request for this host name, is for its own machine only. */
export function isOwnHost(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, '$1');
  const address = plainAddress(name);
  return address === null ? name === 'localhost' || name.endsWith('.localhost') : holds(OWN, address);
}

/** Whether a program of this machine asks, and not a proxy for somebody else. */
export function comesFromHere({ socket, headers }: IncomingMessage): boolean {
  const direct = plainAddress(socket.remoteAddress ?? '');
  const forwarded = ['x-forwarded-for', 'forwarded', 'via'].some((name) => headers[name] !== undefined);
  return direct !== null && holds(OWN, direct) && !forwarded;
}

/** Throws HubError `bad-proxy` for text that is neither an address nor a network. */
export function openAskers({ proxies, proxied = false }: AskerOptions = {}): AddressOf {
  const trusted = blockList(proxies ?? LOOPBACK);
  const expected = proxied || proxies !== undefined;
  return (request) => {
    const direct = plainAddress(request.socket.remoteAddress ?? '');
    if (direct === null) return UNKNOWN_BEHIND_PROXY; // the connection is closed already
    const isTrusted = holds(trusted, direct);
    const here = holds(OWN, direct);
    const said = [request.headers['x-forwarded-for'] ?? ''].flat().join(',').trim();
    if (!isTrusted) return here && !expected ? null : network(direct);
    if (said === '') return here && !expected ? null : UNKNOWN_BEHIND_PROXY;
    // Each proxy appends the address that it heard from, so the last one that is not a proxy is the client. What precedes it came from the client.
    for (const value of said.split(',').reverse()) {
      const address = plainAddress(hostOf(value.trim()));
      if (address === null) return UNKNOWN_BEHIND_PROXY;
      if (!holds(trusted, address)) return network(address);
    }
    return UNKNOWN_BEHIND_PROXY;
  };
}

/** Removes the port and the brackets that some proxies write: `1.2.3.4:5555`, `[2001:db8::1]`, `[2001:db8::1]:443`. */
function hostOf(value: string): string {
  return /^"?\[([^\]]*)\](?::\d{1,5})?"?$/.exec(value)?.[1] ?? /^([\d.]+):\d{1,5}$/.exec(value)?.[1] ?? value;
}

/** An address without its zone, with IPv4 in IPv6 as IPv4; null for anything else. */
function plainAddress(text: string): string | null {
  const bare = text.split('%')[0].replace(/^::ffff:(?=\d+\.)/i, '');
  return isIPv4(bare) || isIPv6(bare) ? bare : null;
}

const holds = (list: BlockList, address: string): boolean => list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');

function blockList(entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of entries) {
    const [address, bits, ...rest] = entry.split('/');
    const plain = plainAddress(address);
    const most = plain && isIPv4(plain) ? 32 : 128;
    const prefix = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
    if (plain === null || rest.length > 0 || !(prefix <= most)) {
      throw new HubError('bad-proxy', `expected an address or a network such as 10.0.0.0/8, got ${entry}`, { entry });
    }
    list.addSubnet(plain, prefix, isIPv4(plain) ? 'ipv4' : 'ipv6');
  }
  return list;
}

/** An IPv4 address, or the /64 of an IPv6 address, which is what one household gets. */
function network(address: string): string {
  if (isIPv4(address)) return address;
  const [head, tail] = address.split('::').map((half) => half.split(':').filter((group) => group !== ''));
  const groups = tail ? [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail] : head;
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
}
