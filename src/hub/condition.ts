// How a hub is: whether it takes events and uploads, and if not, why; said once whenever it changes.
import { statfs } from 'node:fs/promises';
import type { Clock, Timer } from '../protocol/clock.ts';
import { HubError } from './errors.ts';
import type { Sequencer } from './sequencer.ts';

/** Kept free for the log and for merges, which are small beside uploads: whatever is smaller. */
const FLOOR = { bytes: 256 << 20, permille: 20 };
/** How many times the floor keys that neither take part in a run nor own one must leave free: they stop before those who work here do. */
const STRANGERS_LEAVE = 2;
/** How often the disk is looked at while nobody uploads, and how long a look holds. */
const LOOK_EVERY_MS = 5000;
const LOOK_HOLDS_MS = 500;

/** `disk-low`: events are taken, uploads are not. `disk-full`, `log-failed`: nothing is (log-writer.ts). */
export type HubState = 'opening' | 'ready' | 'closing' | 'disk-low' | 'disk-full' | 'log-failed';

export interface Condition<State extends HubState = HubState> {
  readonly state: State;
  /** In words, for anybody: nothing in it tells where the hub keeps what. null: nothing is wrong. */
  readonly reason: string | null;
}

/** What is announced: beginning and ending are announced by whoever begins and ends. */
export type ConditionChange = Condition<Exclude<HubState, 'opening' | 'closing'>>;

export interface DiskSpace {
  readonly free_bytes: number;
  readonly total_bytes: number;
}

/** What a process without special rights may still write to the disk that holds a folder. */
export async function diskSpaceOf(folder: string): Promise<DiskSpace> {
  const { bavail, bsize, blocks } = await statfs(folder);
  return { free_bytes: bavail * bsize, total_bytes: blocks * bsize };
}

export interface ConditionOptions {
  readonly sequencer: Pick<Sequencer, 'standing' | 'onStanding'>;
  readonly stage: () => 'opening' | 'ready' | 'closing';
  readonly clock: Clock;
  /** null: nobody knows, as for a store in memory. */
  readonly space: (() => Promise<DiskSpace>) | null;
  /** What stays free of uploads; by default FLOOR. */
  readonly floor_bytes?: number;
  /** Called at every change after the start. `error`: what the log said, for the hub's own operator. */
  readonly onChange: (change: ConditionChange, error: unknown) => void;
}

export interface WatchedCondition {
  /** The present one, the disk looked at anew. */
  look(): Promise<Condition>;
  /** What was found last. */
  readonly last: Condition;
  /** Throws HubError `disk-full` unless so many bytes more leave the floor free; a stranger's must leave it free twice. */
  mustHaveRoom(size_bytes: number, whose?: 'known' | 'stranger'): Promise<void>;
  close(): void;
}

export function watchCondition(options: ConditionOptions): WatchedCondition {
  const { sequencer, stage, clock, onChange } = options;
  let space: DiskSpace | null = null;
  let looked_ms = Number.NEGATIVE_INFINITY;
  let lastAnnounced: HubState = 'ready';
  let timer: Timer;
  let closed = false;

  const floor = ({ total_bytes }: DiskSpace): number =>
    options.floor_bytes ?? Math.min(FLOOR.bytes, Math.floor((total_bytes * FLOOR.permille) / 1000));

  const present = (): Condition => {
    const now = stage();
    const { standing } = sequencer;
    if (now === 'closing') return { state: 'closing', reason: 'this hub is going down' };
    if (standing === 'log-failed') return { state: standing, reason: 'this hub cannot write its log any more' };
    if (standing === 'disk-full') {
      return { state: standing, reason: "this hub's disk is full: it takes nothing until there is room" };
    }
    if (space && space.free_bytes < floor(space)) return { state: 'disk-low', reason: lowOn(space, floor(space)) };
    return { state: now, reason: now === 'opening' ? 'this hub is starting' : null };
  };

  const tell = (error: unknown): Condition => {
    const condition = present();
    const { state, reason } = condition;
    if (state === 'opening' || state === 'closing' || state === lastAnnounced) return condition;
    lastAnnounced = state;
    onChange({ state, reason }, error);
    return condition;
  };

  const look = async (error: unknown = null): Promise<Condition> => {
    if (options.space && clock.elapsed_ms() - looked_ms >= LOOK_HOLDS_MS) {
      looked_ms = clock.elapsed_ms();
      // A disk that cannot be looked at says so at the next write.
      space = await options.space().catch(() => null);
    }
    return tell(error);
  };

  const lookAgain = (): void => {
    if (closed) return;
    timer = clock.setTimeout(() => void look().finally(lookAgain), LOOK_EVERY_MS);
  };
  if (options.space) lookAgain();
  sequencer.onStanding((standing, error) => {
    if (standing !== 'taking') return void tell(error);
    // A write that succeeded says nothing of how much room there is for more.
    looked_ms = Number.NEGATIVE_INFINITY;
    void look(error);
  });

  return {
    look: () => look(),
    get last() {
      return present();
    },
    async mustHaveRoom(size_bytes, whose = 'known') {
      const { state, reason } = await look();
      if (state === 'disk-full' || state === 'disk-low') throw new HubError('disk-full', reason!);
      if (!space) return;
      const kept_bytes = floor(space) * (whose === 'known' ? 1 : STRANGERS_LEAVE);
      if (space.free_bytes - size_bytes >= kept_bytes) return;
      const what = whose === 'known' ? 'its log' : 'its log and for those who take part in its runs';
      const message = `this hub's disk has no room for ${size_bytes} bytes: ${mb(space.free_bytes)} are free, and ${mb(kept_bytes)} of them are kept for ${what}`;
      throw new HubError('disk-full', message);
    },
    close() {
      closed = true;
      clock.clearTimeout(timer);
    },
  };
}

const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

const lowOn = ({ free_bytes }: DiskSpace, floor_bytes: number): string =>
  `this hub's disk is nearly full: ${mb(free_bytes)} are free; uploads are refused until there are ${mb(floor_bytes)}`;
