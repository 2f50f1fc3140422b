// Uploads and downloads under way: how many at once, how slow one may be, and which one ends when there are too many.
//
// A stranger's transfer must keep a minimum rate. When all places are taken, a new transfer gets the place of the slowest one, so a transfer
// that moves keeps its place, and one that does not blocks nobody.
import type { Clock, Timer } from '../protocol/clock.ts';
import { HubError } from './errors.ts';
import { openTally } from './tally.ts';

export interface TransferLimits {
  readonly places: number;
  /** Further transfers of one key, and of one address, wait. */
  readonly per_key: number;
  readonly per_address: number;
  /** A transfer that moves fewer bytes in a window than this rate is ended. */
  readonly least_bytes_per_s: number;
  readonly window_ms: number;
  /** A younger transfer is not judged by its speed. */
  readonly young_ms: number;
}

/**
 * A place takes a descriptor or two and some 200 kB. There are few places for large uploads, more for small ones (a part of an upload is at
 * most 1 MiB), and still more for small ones of peers that take part here.
 */
export const TRANSFER_LIMITS = {
  up: {
    places: 192,
    per_key: 16,
    per_address: 128,
    least_bytes_per_s: 1000, // peers send parts small enough for 1 kB/s; the bytes of a part that is cut off are kept
    window_ms: 12_000,
    young_ms: 3000, // by then a transfer that moves at all has shown it
  },
  down: {
    places: 768, // a thousand peers that want a round's bundle at once take turns
    per_key: 768,
    per_address: 512,
    least_bytes_per_s: 1000,
    window_ms: 60_000, // a system accepts megabytes at once and then nothing for a while, however well the line moves
    young_ms: 1000,
  },
} satisfies Record<string, TransferLimits>;
/** Places in addition to the common ones. */
export const EXTRA_PLACES = { small: 64, small_of_present: 128 } as const;
export const SMALL_UPLOAD_BYTES = 1 << 20;

/** The limits for a process that may have so many blobs open at once: with few, there are few places. */
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
  /** Ends the transfer: it is too slow, or the slowest where another needs a place. Called at most once. */
  onEnd(error: HubError): void;
}

/** What decides whether there is a place. */
type PlaceOptions = Pick<TransferOptions, 'key' | 'address' | 'extra_places'>;

export interface Transfer {
  moved(size_bytes: number): void;
  /** The transfer is over, for whatever reason. */
  done(): void;
}

export interface Transfers {
  /** Checks that there is a place, or could be one, before anything costs time. Throws HubError `busy`. */
  mustHavePlace(options: PlaceOptions): void;
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

/** Made once, because a flood gets it thousands of times, and a stack trace of each would be useless. */
const ALL_YOUNG = new HubError('busy', 'other transfers are under way; try again in a moment');
const MAKES_ROOM = 'others are waiting, and this transfer is the slowest; go on with it in a moment';
/** How often the windows are checked. */
const LOOK_EVERY_MS = 1000;

export function openTransfers(clock: Clock, limits: TransferLimits): Transfers {
  /** In the order in which they began. */
  const open = new Set<UnderWay>();
  const counts = openTally();
  let timer: Timer;

  const count = (options: TransferOptions, by: 1 | -1): void => {
    for (const { name } of quotasOf(options, limits)) counts.add(name, by);
  };
  const remove = (one: UnderWay): boolean => {
    const there = open.delete(one);
    if (there) count(one.options, -1);
    return there;
  };
  const end = (one: UnderWay, error: HubError): void => {
    if (remove(one)) one.options.onEnd(error);
  };

  const look = (): void => {
    timer = undefined;
    const now_ms = clock.elapsed_ms();
    for (const one of open) {
      if (now_ms - one.window_from_ms < limits.window_ms) continue;
      const error = tooSlow(one, now_ms, limits.least_bytes_per_s);
      if (error) end(one, error);
      one.window_from_ms = now_ms;
      one.window_bytes = 0;
    }
    if (open.size > 0) timer = clock.setTimeout(look, LOOK_EVERY_MS);
  };

  /** The transfer that must end for another to begin; null for none. Throws where the other cannot begin. */
  const inTheWay = (options: PlaceOptions): UnderWay | null => {
    for (const { name, most, of } of quotasOf(options, limits)) {
      if (counts.of(name) >= most) throw new HubError('busy', `at most ${most} transfers at once of ${of}`);
    }
    if (open.size < limits.places + (options.extra_places ?? 0)) return null;
    const one = slowestOf(open, clock.elapsed_ms(), limits.young_ms);
    if (!one) throw ALL_YOUNG;
    return one;
  };

  return {
    mustHavePlace: (options) => void inTheWay(options),
    begin(options) {
      const other = inTheWay(options);
      if (other) end(other, new HubError('busy', MAKES_ROOM));
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

/** The counts that a transfer adds to, and the limit of each. */
function quotasOf({ key, address }: PlaceOptions, { per_key, per_address }: TransferLimits) {
  return [
    ...(key ? [{ name: `key ${key}`, most: per_key, of: 'one key' }] : []),
    ...(address ? [{ name: `at ${address}`, most: per_address, of: 'one address' }] : []),
  ];
}

/** The error for a transfer that has moved too little in its last window; null where it has moved enough. */
function tooSlow(one: UnderWay, now_ms: number, least_bytes_per_s: number): HubError | null {
  const window_ms = now_ms - one.window_from_ms;
  if (one.window_bytes >= (least_bytes_per_s * window_ms) / 1000) return null;
  const got = `${one.window_bytes} bytes in ${(window_ms / 1000).toFixed(0)} s`;
  return new HubError('too-slow', `expected at least ${least_bytes_per_s} bytes a second, got ${got}`);
}

/** Of those old enough to be judged. @param open in the order in which they began */
function slowestOf(open: Iterable<UnderWay>, now_ms: number, young_ms: number): UnderWay | undefined {
  const speed = ({ moved_bytes, begun_ms }: UnderWay): number => moved_bytes / (now_ms - begun_ms);
  let worst: UnderWay | undefined;
  for (const one of open) {
    if (now_ms - one.begun_ms < young_ms) break;
    if (!worst || speed(one) < speed(worst)) worst = one;
  }
  return worst;
}
