// Where a device reaches a hub of several processes: the one with the shortest way, and another when it does not answer.
import { type Clock, systemClock } from '../protocol/clock.ts';
import { type FrontAddress, FrontsSchema } from '../protocol/fronts.ts';
import { askHub } from './find-run.ts';

const LIMITS = {
  probes: 3, // the shortest of them counts: the first has the handshake in it
  probe_ms: 2000, // whoever takes longer is no place to connect to
  again_ms: 60_000, // between measurements, so that a device that loses its connection again and again does not ask for ever
  avoided_ms: 30_000, // a process that did not answer is not tried again for so long, while there are others
} as const;

/** Ways that differ by less are the same: devices spread over them. */
const SAME_PART = 1.25;
const SAME_MS = 3;

/** What a device knows of one process of its hub. */
export interface KnownFront {
  readonly url: string;
  /** The shortest round trip; null where it was not measured, or nobody answered. */
  readonly rtt_ms: number | null;
  /** When it was last found dead. */
  readonly failed_ms: number | null;
}

/**
 * The process for the next connection: of those that were not just found dead one of the nearest; of dead ones the one that was found so first.
 * @param random uniform in [0, 1)
 */
export function chooseFront(known: readonly KnownFront[], now_ms: number, random: () => number): KnownFront {
  const alive = known.filter(({ failed_ms }) => failed_ms === null || now_ms - failed_ms >= LIMITS.avoided_ms);
  if (alive.length === 0) return known.reduce((a, b) => ((b.failed_ms ?? 0) < (a.failed_ms ?? 0) ? b : a));
  const measured = alive.filter((one): one is KnownFront & { readonly rtt_ms: number } => one.rtt_ms !== null);
  if (measured.length === 0) return alive[0];
  const best_ms = Math.min(...measured.map(({ rtt_ms }) => rtt_ms));
  const near = measured.filter(({ rtt_ms }) => rtt_ms <= Math.max(best_ms * SAME_PART, best_ms + SAME_MS));
  return near[Math.floor(random() * near.length)];
}

/**
 * Whether a device goes where a hub sends it: to an address as safe as the one that its owner has named, and to its own machine or network only from
 * there.
 */
export function mayGoTo(url: string, named: string): boolean {
  const [to, from] = [URL.parse(url), URL.parse(named)];
  if (!to || !from || !['http:', 'https:'].includes(to.protocol)) return false;
  if (to.username || to.password || to.search || to.hash || (from.protocol === 'https:' && to.protocol !== 'https:')) {
    return false;
  }
  return !isPrivate(to.hostname) || isPrivate(from.hostname);
}

/** Names and addresses that mean this machine or its own network. */
function isPrivate(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  return (
    /^(localhost|.*\.localhost|.*\.local|.*\.internal)$/.test(host) ||
    /^(0|10|127)\.|^192\.168\.|^169\.254\.|^172\.(1[6-9]|2\d|3[01])\./.test(host) ||
    /^(::1?$|f[cd]|fe[89ab]|::ffff:)/.test(host)
  );
}

export interface Fronts {
  /** Where the hub is reached now. */
  readonly url: string;
  /** Whether there are others to go to. */
  readonly several: boolean;
  /** Asks the hub for its processes, and measures the way to each. Never rejects; does nothing where it was just done. */
  measure(): Promise<void>;
  /** The process at `url` does not answer, or the connection to it has ended. */
  failed(): void;
  /** Chooses where the next connection goes: `url` from now on. */
  choose(): string;
}

export interface FrontsOptions {
  /** The address that the device's owner has named. */
  readonly url: string;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** As askHub. */
  readonly ask?: typeof askHub;
}

export function openFronts({ url, clock = systemClock, random = Math.random, ask = askHub }: FrontsOptions): Fronts {
  let known: readonly KnownFront[] = [{ url, rtt_ms: null, failed_ms: null }];
  let current = url;
  let measured_ms = Number.NEGATIVE_INFINITY;

  /** null where it does not answer. */
  const roundTrip = async (to: string): Promise<number | null> => {
    let best_ms: number | null = null;
    for (let i = 0; i < LIMITS.probes; i++) {
      const from_ms = clock.elapsed_ms();
      const answer = await ask(to, '/health', {}, LIMITS.probe_ms).catch(() => null);
      if (!answer?.ok) return best_ms;
      best_ms = Math.min(best_ms ?? Number.POSITIVE_INFINITY, clock.elapsed_ms() - from_ms);
    }
    return best_ms;
  };
  const listed = async (): Promise<readonly FrontAddress[]> => {
    const answer = await ask(current, '/fronts', {}, LIMITS.probe_ms).catch(() => null);
    const parsed = FrontsSchema.safeParse(answer?.ok ? answer.json : null);
    return parsed.success ? parsed.data.fronts.filter((front) => mayGoTo(front.url, url)) : [];
  };

  return {
    get url() {
      return current;
    },
    get several() {
      return known.length > 1;
    },
    async measure() {
      const now_ms = clock.elapsed_ms();
      if (now_ms - measured_ms < LIMITS.again_ms) return;
      measured_ms = now_ms;
      const urls = new Set((await listed()).map((front) => front.url.replace(/\/$/, '')));
      // A hub that is one process, or does not answer: what is known stays.
      if (urls.size < 2) return;
      const trips = await Promise.all([...urls].map(async (to) => [to, await roundTrip(to)] as const));
      const failed = new Map(known.map((one) => [one.url, one.failed_ms]));
      known = trips.map(([to, rtt_ms]) => ({ url: to, rtt_ms, failed_ms: failed.get(to) ?? null }));
    },
    failed() {
      const failed_ms = clock.elapsed_ms();
      known = known.map((one) => (one.url === current ? { ...one, failed_ms } : one));
    },
    choose() {
      current = chooseFront(known, clock.elapsed_ms(), random).url;
      return current;
    },
  };
}
