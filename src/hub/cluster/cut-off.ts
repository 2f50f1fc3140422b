// Whether this process lacks the bus or the journal while others have both: its devices are better off there, and are sent away (decision 0062).
import type { Clock, Timer } from '../../protocol/clock.ts';
import type { Bus } from './bus.ts';

/** What a process cannot do without for long. */
export type Lacked = 'bus' | 'journal';

/** What another process says when it is asked: `fine`: it has both; `lacking`: it has not, or takes nobody now; `silent`: nobody answers there. */
export type FrontsWord = 'fine' | 'lacking' | 'silent';

export const CUT_OFF_LIMITS = {
  // The others forget a silent process after 3.5 s, and write its devices off 5 s later. A server that stands still is found after 3 s, so these two
  // leave three for the way to another process. A server that dies is replaced by the next within half a second.
  bus_ms: 2000,
  journal_ms: 6000, // a slow bucket takes five seconds for an answer, and is no reason to move anybody
  look_ms: 500,
  ask_again_ms: 2000, // while it lasts: the others may lose or find what this one lacks
} as const;

export interface CutOff {
  /** What this process has lacked for a while; null for nothing. Whoever leads lacks nothing: the journal says whether it may. */
  readonly lacked: Lacked | null;
  /** Why devices are sent to other processes, a sentence for them; null where they are not. */
  readonly away: string | null;
  /** Called at each change of `away`. */
  onChange(listener: () => void): void;
  close(): void;
}

export interface CutOffOptions {
  readonly clock: Clock;
  readonly bus: Pick<Bus, 'connected' | 'onConnected'>;
  leads(): boolean;
  /** How long the journal has not answered, although it was asked. */
  journalSilent_ms(): number;
  /** The addresses of the other processes that devices connect to. */
  others(): readonly string[];
  /** Never rejects. */
  ask(url: string): Promise<FrontsWord>;
  /** Reads all that was missed. Rejects where that fails. */
  catchUp(): Promise<void>;
}

const REASONS: Readonly<Record<Lacked, string>> = {
  bus: 'this process of the hub does not reach the others; another one is there',
  journal: "this process of the hub does not reach the hub's log; another one is there",
};

export function openCutOff(options: CutOffOptions): CutOff {
  const { clock, bus, leads, journalSilent_ms, catchUp } = options;
  const listeners: (() => void)[] = [];
  let gone_ms = bus.connected ? null : clock.elapsed_ms();
  let lacked: Lacked | null = null;
  let away: string | null = null;
  let timer: Timer;
  let closed = false;

  bus.onConnected((connected) => {
    gone_ms = connected ? null : clock.elapsed_ms();
  });
  const lacks = (): Lacked | null => {
    if (leads()) return null;
    if (gone_ms !== null && clock.elapsed_ms() - gone_ms >= CUT_OFF_LIMITS.bus_ms) return 'bus';
    return journalSilent_ms() >= CUT_OFF_LIMITS.journal_ms ? 'journal' : null;
  };
  const turn = (next: string | null): void => {
    if (closed || next === away) return;
    away = next;
    for (const listener of listeners) listener();
  };
  const look = async (): Promise<void> => {
    const now = lacks();
    if (now !== null) {
      lacked = now;
      const better = await othersAreBetter(options);
      turn(better ? REASONS[now] : null);
    } else if (lacked !== null) {
      // Devices that come back now must not be told what was true before the cut.
      await catchUp();
      if (lacks() !== null) return;
      lacked = null;
      turn(null);
    }
  };
  const wait = (): void => {
    const wait_ms = lacked === null ? CUT_OFF_LIMITS.look_ms : CUT_OFF_LIMITS.ask_again_ms;
    timer = clock.setTimeout(() => {
      // What cannot be caught up with now is tried again.
      void look()
        .catch(() => {})
        .finally(() => closed || wait());
    }, wait_ms);
  };
  wait();

  return {
    get lacked() {
      return lacked;
    },
    get away() {
      return away;
    },
    onChange: (listener) => void listeners.push(listener),
    close() {
      closed = true;
      clock.clearTimeout(timer);
    },
  };
}

/**
 * Whether devices are better off at another process: where one has what this one lacks. Where all lack it, they stay, and what they hand in waits
 * here as it would there. Where nobody answers, this process rather than all others is the one that is out of reach.
 */
async function othersAreBetter({ others, ask }: CutOffOptions): Promise<boolean> {
  const urls = others();
  if (urls.length === 0) return false;
  return new Promise((resolve) => {
    let lacking = false;
    let left = urls.length;
    for (const url of urls) {
      void ask(url).then((word) => {
        if (word === 'fine') resolve(true);
        if (word === 'lacking') lacking = true;
        if (--left === 0) resolve(!lacking);
      });
    }
  });
}
