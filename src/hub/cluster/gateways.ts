// What the gateways of a hub tell each other, and the processes that are none hear: who they are, how much of accounts' credit each holds, their fleets.
import type { Clock, Timer } from '../../protocol/clock.ts';
import { type Fleet, FleetSchema } from '../../protocol/fleet.ts';
import { decodeFrame, encodeFrame } from '../../protocol/frames.ts';
import { HubError } from '../errors.ts';
import { type Bus, MAX_BUS_BYTES } from './bus.ts';
import { decodeBusMessage, encodeBusMessage, type Message, type Subjects, toProcess } from './subjects.ts';

const GATEWAY_LIMITS = {
  here_ms: 1000, // how often each says that it is there, and all that it holds: as often as processes do (presence.ts)
  believed_ms: 3500, // what was not said again for so long is over: three messages may be lost
  accounts: 5000, // of one message, 75 bytes each
  fleet_ms: 1500, // who reads how the pool does waits no longer for one of its gateways
} as const;

export interface Gateways {
  /** What other gateways hold of an account for answers that are written or not settled, in micro-credits. */
  heldOf(account: string): number;
  /** This gateway holds so much of an account from now on. */
  holds(account: string, micro: number): void;
  /** The fleets of the other gateways, as each has measured it; of those that answer. */
  fleets(): Promise<Fleet[]>;
  close(): void;
}

export interface GatewaysOptions {
  readonly bus: Bus;
  readonly subjects: Pick<Subjects, 'gateways' | 'fleet'>;
  readonly clock: Clock;
  readonly instance: string;
  /** The fleet of this process; null: it is no gateway. */
  readonly fleet: (() => Fleet) | null;
  onError(error: unknown): void;
}

/** What one gateway has said. */
interface Other {
  heard_ms: number;
  readonly held: Map<string, { readonly micro: number; readonly heard_ms: number }>;
}

export function openGateways(options: GatewaysOptions): Gateways {
  const { bus, subjects, clock, instance, fleet, onError } = options;
  const others = openOthers(options);
  const mine = new Map<string, number>();
  const changed = new Set<string>();
  let soon: Timer;
  let beat: Timer;
  const say = (held: Message<'gateway'>['held'], ended?: true): void =>
    bus.publish(subjects.gateways, encodeBusMessage('gateway', { instance, held, ...(ended && { ended }) }));
  const sayChanges = (): void => {
    soon = undefined;
    const held = [...changed].map((account): [string, number] => [account, mine.get(account) ?? 0]);
    changed.clear();
    for (let at = 0; at < held.length; at += GATEWAY_LIMITS.accounts) say(held.slice(at, at + GATEWAY_LIMITS.accounts));
  };
  const beating = (): void => {
    beat = clock.setTimeout(beating, GATEWAY_LIMITS.here_ms);
    others.look();
    if (!fleet) return;
    const held = [...mine];
    for (let at = 0; at === 0 || at < held.length; at += GATEWAY_LIMITS.accounts) {
      say(held.slice(at, at + GATEWAY_LIMITS.accounts));
    }
  };
  beating();
  const served = fleet
    ? bus.serve(toProcess(subjects.fleet, instance), 'gateway', async () => encodeFrame(fleet()))
    : { close() {} };

  return {
    heldOf: others.heldOf,
    holds(account, micro) {
      if (micro === 0) mine.delete(account);
      else mine.set(account, micro);
      changed.add(account);
      soon ??= clock.setTimeout(sayChanges, 0);
    },
    async fleets() {
      const asked = others.names().map(async (name) => {
        try {
          const answer = await bus.request(toProcess(subjects.fleet, name), new Uint8Array(), GATEWAY_LIMITS.fleet_ms);
          return [decodeFrame(answer, FleetSchema, MAX_BUS_BYTES, Number.POSITIVE_INFINITY)];
        } catch (error) {
          if (!(error instanceof HubError && error.code === 'no-answer')) onError(error);
          return [];
        }
      });
      return (await Promise.all(asked)).flat();
    },
    close() {
      clock.clearTimeout(soon);
      clock.clearTimeout(beat);
      if (fleet) say([], true);
      served.close();
      others.close();
    },
  };
}

/** What other gateways have said, for as long as they say it again. */
function openOthers({ bus, subjects, clock, instance, onError }: GatewaysOptions) {
  const known = new Map<string, Other>();
  const isOver = (heard_ms: number): boolean => clock.elapsed_ms() - heard_ms > GATEWAY_LIMITS.believed_ms;
  const hear = ({ instance: name, held, ended }: Message<'gateway'>): void => {
    if (name === instance) return;
    if (ended) {
      known.delete(name);
      return;
    }
    const heard_ms = clock.elapsed_ms();
    const other = known.get(name) ?? { heard_ms, held: new Map() };
    known.set(name, other);
    other.heard_ms = heard_ms;
    for (const [account, micro] of held) {
      if (micro === 0) other.held.delete(account);
      else other.held.set(account, { micro, heard_ms });
    }
  };
  const subscription = bus.subscribe(subjects.gateways, (bytes) => {
    try {
      hear(decodeBusMessage('gateway', bytes));
    } catch (error) {
      onError(error);
    }
  });
  return {
    heldOf(account: string): number {
      let sum_micro = 0;
      for (const { held } of known.values()) {
        const one = held.get(account);
        if (one && !isOver(one.heard_ms)) sum_micro += one.micro;
      }
      return sum_micro;
    },
    names: (): string[] => [...known.keys()],
    look(): void {
      for (const [name, { heard_ms, held }] of known) {
        if (isOver(heard_ms)) known.delete(name);
        for (const [account, one] of held) if (isOver(one.heard_ms)) held.delete(account);
      }
    },
    close: () => subscription.close(),
  };
}
