// How fast one address, or one key, may ask: token buckets, kept as the one moment at which each is full again (GCRA, ITU-T I.371).
import type { Clock } from '../protocol/clock.ts';
import { HubError } from './errors.ts';

/** `burst` at once, then `per_second`. */
export interface Rate {
  readonly burst: number;
  readonly per_second: number;
}

/**
 * Everything that is limited. An address (hub/askers.ts) may stand for a whole school or a LAN party; a key is one device, and so is a connection. Addresses are asked before
 * anything costs time, keys only where the signature has been checked: else anybody could use up a stranger's.
 */
export const RATES = {
  event_address: { burst: 10_000, per_second: 500 }, // 1,000 devices that hand in together; a core checks more signatures than this
  event_key: { burst: 2000, per_second: 50 }, // a validator that seals and shows its verdicts on 1,000 submissions
  upload_address: { burst: 10_000, per_second: 200 }, // 1,000 devices that hand in, and some that bring data
  upload_key: { burst: 2000, per_second: 50 }, // somebody who brings a data set in pieces; its bytes have a limit of their own
  connection_address: { burst: 2000, per_second: 50 }, // 1,000 devices that come back at once after a restart, twice
  connection_key: { burst: 60, per_second: 1 }, // one device on a bad line; two with the same key that push each other out are slowed
  join_address: { burst: 2000, per_second: 20 }, // as connections, and each join is an event that stays in the log
  join_key: { burst: 60, per_second: 0.2 }, // one device on a bad line: a break of less than some seconds is no leave
  run_address: { burst: 64, per_second: 1 / 60 }, // a run that is ended leaves room, but stays in the log and in every list
  talk_connection: { burst: 100, per_second: 10 }, // a worker tells three times a second how far it is, whoever looks on asks every ten
  malformed_connection: { burst: 20, per_second: 0.1 }, // beyond it the connection ends: none in a life of this version
  too_fast_connection: { burst: 200, per_second: 2 }, // likewise: who is told to wait and does sends each event again a few times
  card_address: { burst: 60, per_second: 1 }, // robots of a few sites at once; a picture that is kept costs nothing, a new one 0.1 s
  read_address: { burst: 5000, per_second: 100 }, // an audit of a million events is 4,000 bundles; 1,000 devices that come at once ask thrice
  status_address: { burst: 2000, per_second: 50 }, // as connections: each device asks once when it comes, who watches has a WebSocket
  cosignature_address: { burst: 60, per_second: 1 }, // a few witnesses at one address that look every few seconds; each is a note to verify
} satisfies Record<string, Rate>;
export type RateName = keyof typeof RATES;
export type Rates = Readonly<Record<RateName, Rate>>;

/** Buckets remembered of each limit, some 100 bytes each; beyond them the one that was quiet for the longest is forgotten. */
const BUCKETS = 20_000;

export interface RateLimits {
  /** Takes one token. Throws HubError `too-fast`, with `details.retry_after_s`, where there is none. `key` null: without limit. */
  take(rate: RateName, key: string | null): void;
}

export function openRateLimits(clock: Clock, changed: Partial<Rates> = {}, buckets = BUCKETS): RateLimits {
  const rates: Rates = { ...RATES, ...changed };
  /** When a bucket will be full again, by key; the one used last at the end. */
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
        // What is refused costs no token: whoever keeps asking is not punished, only slowed. (A nanosecond is rounding.)
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
