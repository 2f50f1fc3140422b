// Passes frames on between devices wherever they are connected: those of this process by its own relay, the others over the bus.
//
// The process of the sender keeps to the window and to the order of numbers; that of the receiver has the lane, and hears the sender as a connection of
// its own. The bus may lose what it carries: a gap ends the lane, and where no word comes the sender's process asks (far-messages.ts). So a frame is
// taken, or told as lost; it is never passed on twice, nor out of order.
import type { Clock, Timer } from '../../protocol/clock.ts';
import type { FromRelayingPeer } from '../../protocol/relay-messages.ts';
import type { Relay, RelayConnection, RelayCounts } from '../relay.ts';
import type { Bus } from './bus.ts';
import { FarLanes } from './far-lanes.ts';
import { decodeFar, FAR_LIMITS } from './far-messages.ts';
import { FarSenders } from './far-senders.ts';

export interface FarRelayOptions {
  /** The name of this process, which it draws when it starts: no other one has had it. */
  readonly own: string;
  readonly bus: Bus;
  /** Where a process hears frames and words. */
  subject(front: string): string;
  readonly clock: Clock;
  /** The relay among the connections of this process. */
  readonly near: Relay;
  /** Whether a key has a connection to this process that is open. */
  isHere(run: string, peer: string): boolean;
  /** The other process that a device is connected to; null for none. */
  frontOf(run: string, peer: string): string | null;
  /** Whether a key takes part in a run, by the log. */
  takesPart(run: string, peer: string): boolean;
  readonly counts: RelayCounts;
  onError(error: unknown): void;
}

export interface FarRelay extends Relay {
  close(): void;
}

export function openFarRelay(options: FarRelayOptions): FarRelay {
  const { own, bus, subject, clock, near, isHere, frontOf, takesPart, onError } = options;
  const lanes = new FarLanes(options);
  const senders = new FarSenders(options);
  const subscription = bus.subscribe(subject(own), (bytes) => {
    try {
      const message = decodeFar(bytes);
      if (message.type === 'word') lanes.hear(message);
      else senders.hear(message);
    } catch (error) {
      onError(error);
    }
  });
  let timer: Timer;
  const look = (): void => {
    timer = clock.setTimeout(look, FAR_LIMITS.check_ms);
    lanes.look();
    senders.look();
  };
  timer = clock.setTimeout(look, FAR_LIMITS.check_ms);

  /** Where a frame goes; null for the relay of this process, which also says why it goes nowhere. */
  const farFrom = ({ run, peer }: RelayConnection, to: string): string | null => {
    if (run === null || peer === null || isHere(run, to)) return null;
    return takesPart(run, peer) && takesPart(run, to) ? frontOf(run, to) : null;
  };

  return {
    hear(from: RelayConnection, message: FromRelayingPeer): void {
      if (message.type === 'relay') {
        const front = farFrom(from, message.to);
        if (front !== null) {
          lanes.pass(from, message, front);
          return;
        }
        if (lanes.leave(from, message.to)) return;
      }
      near.hear(from, message);
    },
    gone(connection): void {
      lanes.gone(connection);
      near.gone(connection);
    },
    close(): void {
      clock.clearTimeout(timer);
      subscription.close();
    },
  };
}
