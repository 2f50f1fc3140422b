// Rate limits by address and by key: token buckets, each stored as the moment at which it is full again (GCRA, ITU-T I.371).
import type { Clock } from '../protocol/clock.ts';
import { HubError } from './errors.ts';

/** `burst` at once, then `per_second`. */
export interface Rate {
  readonly burst: number;
  readonly per_second: number;
}

/**
 * All limits. An address (hub/askers.ts) may stand for a whole school or a LAN party; a key is one device, and so is a connection. Addresses
 * are checked before anything costs time; keys only after the signature, because otherwise anybody could use up a stranger's tokens.
 */
export const RATES = {
  event_address: { burst: 10_000, per_second: 500 }, // 1,000 devices that submit at once; a core verifies more signatures than this
  event_key: { burst: 2000, per_second: 50 }, // a validator that commits to and reveals verdicts on 1,000 submissions
  upload_address: { burst: 10_000, per_second: 200 }, // 1,000 devices that submit, and some that upload data
  upload_key: { burst: 2000, per_second: 50 }, // an owner that uploads a data set in pieces; the bytes have a limit of their own
  connection_address: { burst: 2000, per_second: 50 }, // 1,000 devices that reconnect at once after a restart, twice
  connection_key: { burst: 60, per_second: 1 }, // one device on a bad line; two with the same key that replace each other are slowed down
  join_address: { burst: 2000, per_second: 20 }, // like connections; and each join is an event that stays in the log
  join_key: { burst: 60, per_second: 0.2 }, // one device on a bad line: a break of a few seconds does not cause a leave
  run_address: { burst: 64, per_second: 1 / 60 }, // an ended run makes room, but stays in the log and in every list
  talk_connection: { burst: 100, per_second: 10 }, // a worker reports its progress three times a second, an observer asks every ten seconds
  serve_connection: { burst: 2000, per_second: 400 }, // sixteen answers at once, each with a message every forty milliseconds
  relay_connection: { burst: 4000, per_second: 1000 }, // 50 Mbit/s in frames of 8 kB, and a word for each that comes
  malformed_connection: { burst: 20, per_second: 0.1 }, // beyond this the connection ends: peers of this version send none
  too_fast_connection: { burst: 200, per_second: 2 }, // likewise: a peer that is told to wait sends each event again a few times
  card_address: { burst: 60, per_second: 1 }, // robots of a few sites at once; a cached picture costs nothing, a new one 0.1 s
  read_address: { burst: 5000, per_second: 100 }, // an audit of a million events reads 4,000 bundles; 1,000 devices that come at once ask three times each
  status_address: { burst: 2000, per_second: 50 }, // like connections: each device asks once when it comes, and observers use a WebSocket
  letter_address: { burst: 5000, per_second: 100 }, // 1,000 devices write every twenty seconds, and their owners ask
  letter_key: { burst: 100, per_second: 1 }, // a device writes when it pauses and goes on as well; an owner's page asks every few seconds
  settings_key: { burst: 2000, per_second: 5 }, // an owner that sets something on 1,000 devices, and changes its mind
  api_address: { burst: 2000, per_second: 100 }, // a school of agents; how much each key may have is the API's own matter
  cosignature_address: { burst: 60, per_second: 1 }, // a few witnesses at one address, every few seconds; each cosignature has to be verified
} satisfies Record<string, Rate>;
export type RateName = keyof typeof RATES;
export type Rates = Readonly<Record<RateName, Rate>>;

/** How many buckets of each limit are remembered, some 100 bytes each; beyond that the least recently used one is forgotten. */
const BUCKETS = 20_000;

export interface RateLimits {
  /** Takes one token. Throws HubError `too-fast`, with `details.retry_after_s`, where there is none. `key` null: without limit. */
  take(rate: RateName, key: string | null): void;
}

export function openRateLimits(clock: Clock, changed: Partial<Rates> = {}, buckets = BUCKETS): RateLimits {
  const rates: Rates = { ...RATES, ...changed };
  /** When a bucket will be full again, by key; the most recently used one is last. */
  const fullAt = Object.fromEntries(Object.keys(rates).map((name) => [name, new Map<string, number>()]));
  return {
    take(name, key) {
      if (key === null) return;
      const { burst, per_second } = rates[name];
      const token_ms = 1000 / per_second;
      const now_ms = clock.elapsed_ms();
      const full = fullAt[name];
      const next_ms = Math.max(now_ms, full.get(key) ?? 0) + token_ms;
      const wait_ms = next_ms - now_ms - burst * token_ms;
      if (wait_ms > 1e-6) {
        // A refusal takes no token: a client that keeps asking is not punished, only slowed down. (The nanosecond is for rounding.)
        const retry_after_s = Math.ceil(wait_ms / 1000);
        const message = `${name}: at most ${burst} at once and ${per_second} a second; try again in ${retry_after_s} s`;
        throw new HubError('too-fast', message, { limit: name, retry_after_s });
      }
      full.delete(key);
      full.set(key, next_ms);
      if (full.size > buckets) full.delete(full.keys().next().value!);
    },
  };
}
