// Bodies that are on their way, up or down: how many at once, how slow one may be, and who makes room when there are too many.
//
// A stranger who holds a place has to keep a rate for it. When all places are taken, whoever asks gets that of the slowest: a line that
// moves keeps its place, and one that does not costs nobody theirs.
import type { Clock, Timer } from '../protocol/clock.ts';
import { HubError } from './errors.ts';

export interface TransferLimits {
  readonly places: number;
  /** More of one key, and of one address, wait. */
  readonly per_key: number;
  readonly per_address: number;
  /** Fewer bytes in a window than this rate means end a transfer. */
  readonly least_bytes_per_s: number;
  readonly window_ms: number;
  /** A transfer that is younger than this is not judged by its speed. */
  readonly young_ms: number;
}

/**
 * A place costs a descriptor or two and some 200 kB. Uploads have few places for whoever sends much, more for what is small (a part of an
 * upload is at most 1 MiB), still more for small ones of peers that are at work here.
 */
export const TRANSFER_LIMITS = {
  up: {
    places: 192,
    per_key: 16,
    per_address: 128,
    least_bytes_per_s: 1000, // peers send parts that pass at 1 kB/s; what has come of a part is kept when it is cut
    window_ms: 12_000,
    young_ms: 3000, // what moves at all has shown it by then
  },
  down: {
    places: 768, // a thousand peers that want a round's bundle at once have it in turns
    per_key: 768,
    per_address: 512,
    least_bytes_per_s: 1000,
    window_ms: 60_000, // a system takes megabytes at once and then says nothing, however well the line moves
    young_ms: 1000,
  },
} satisfies Record<string, TransferLimits>;
/** Places beside the common ones. */
export const EXTRA_PLACES = { small: 64, small_of_present: 128 } as const;
export const SMALL_UPLOAD_BYTES = 1 << 20;

/** The limits of a process that may have so many blobs open at once: where those are few, so are the places. */
export function limitsFor(files: number): Record<keyof typeof TRANSFER_LIMITS | 'page', TransferLimits> {
  const { up, down } = TRANSFER_LIMITS;
  return {
    page: { ...down, places: Math.min(down.places, Math.ceil(files / 4)) },
    up: { ...up, places: Math.min(up.places, Math.ceil(files / 4)) },
    down: { ...down, places: Math.min(down.places, Math.ceil(files / 2)) },
  };
}

export interface TransferOptions {
  readonly key?: string;
  readonly address: string | null;
  /** Places beside the common ones that this transfer may take. */
  readonly extra_places?: number;
  /** Ends it: it is too slow, or the slowest where somebody else needs a place. Called once at most. */
  onEnd(error: HubError): void;
}

export interface Transfer {
  moved(size_bytes: number): void;
  /** It is over, however. */
  done(): void;
}

export interface Transfers {
  /** Whether there is a place, or would be one: asked before anything costs time. Throws HubError `busy`. */
  mustHavePlace(options: Pick<TransferOptions, 'key' | 'address' | 'extra_places'>): void;
  /** Throws HubError `busy` where there is no place. */
  begin(options: TransferOptions): Transfer;
  readonly count: number;
}

interface UnderWay {
  readonly options: TransferOptions;
  readonly begun_ms: number;
  moved_bytes: number;
  window_from_ms: number;
  window_bytes: number;
}

/** Made once: a flood gets it thousands of times, and where each came from is known. */
const ALL_YOUNG = new HubError('busy', 'other transfers are under way; try again in a moment');
/** How often the windows are looked at. */
const LOOK_EVERY_MS = 1000;

export function openTransfers(clock: Clock, limits: TransferLimits): Transfers {
  const open = new Set<UnderWay>();
  /** How many of each key, and of each address. */
  const counts = new Map<string, number>();
  let timer: Timer;

  const count = ({ key, address }: TransferOptions, by: 1 | -1): void => {
    for (const name of [key && `key ${key}`, address && `at ${address}`]) {
      if (!name) continue;
      const now = (counts.get(name) ?? 0) + by;
      if (now > 0) counts.set(name, now);
      else counts.delete(name);
    }
  };
  const remove = (one: UnderWay): boolean => {
    const there = open.delete(one);
    if (there) count(one.options, -1);
    return there;
  };

  const end = (one: UnderWay, code: 'too-slow' | 'busy', message: string): void => {
    if (remove(one)) one.options.onEnd(new HubError(code, message));
  };

  const look = (): void => {
    timer = undefined;
    const now_ms = clock.elapsed_ms();
    for (const one of open) {
      const window_ms = now_ms - one.window_from_ms;
      if (window_ms < limits.window_ms) continue;
      if (one.window_bytes < (limits.least_bytes_per_s * window_ms) / 1000) {
        const message = `expected at least ${limits.least_bytes_per_s} bytes a second, got ${one.window_bytes} bytes in ${(window_ms / 1000).toFixed(0)} s`;
        end(one, 'too-slow', message);
      }
      one.window_from_ms = now_ms;
      one.window_bytes = 0;
    }
    if (open.size > 0) timer = clock.setTimeout(look, LOOK_EVERY_MS);
  };

  /** Of those old enough to be judged. */
  const slowest = (): UnderWay | undefined => {
    const now_ms = clock.elapsed_ms();
    const speed = ({ moved_bytes, begun_ms }: UnderWay): number => moved_bytes / (now_ms - begun_ms);
    let worst: UnderWay | undefined;
    for (const one of open) {
      if (now_ms - one.begun_ms < limits.young_ms) break; // they stand in the order in which they began
      if (!worst || speed(one) < speed(worst)) worst = one;
    }
    return worst;
  };

  /** Who has to go for a transfer to begin; null: nobody. Throws where it cannot begin. */
  const inTheWay = ({ key, address, extra_places = 0 }: Pick<TransferOptions, 'key' | 'address' | 'extra_places'>) => {
    if (key && (counts.get(`key ${key}`) ?? 0) >= limits.per_key) {
      throw new HubError('busy', `at most ${limits.per_key} transfers at once of one key`);
    }
    if (address && (counts.get(`at ${address}`) ?? 0) >= limits.per_address) {
      throw new HubError('busy', `at most ${limits.per_address} transfers at once of one address`);
    }
    if (open.size < limits.places + extra_places) return null;
    const one = slowest();
    if (!one) throw ALL_YOUNG;
    return one;
  };

  return {
    mustHavePlace: (options) => void inTheWay(options),
    begin(options) {
      const other = inTheWay(options);
      if (other) end(other, 'busy', 'others are waiting, and this transfer is the slowest; go on with it in a moment');
      const now_ms = clock.elapsed_ms();
      const one = { options, begun_ms: now_ms, moved_bytes: 0, window_from_ms: now_ms, window_bytes: 0 };
      open.add(one);
      count(options, 1);
      timer ??= clock.setTimeout(look, LOOK_EVERY_MS);
      return {
        moved(size_bytes) {
          one.moved_bytes += size_bytes;
          one.window_bytes += size_bytes;
        },
        done() {
          remove(one);
          if (open.size > 0) return;
          clock.clearTimeout(timer);
          timer = undefined;
        },
      };
    },
    get count() {
      return open.size;
    },
  };
}
