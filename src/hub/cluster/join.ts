// Opens what a process of a hub of several needs of NATS, and makes it a member.
import { randomBytes } from 'node:crypto';
import type { FollowedLog } from '../../ledger/replica.ts';
import { systemClock } from '../../protocol/clock.ts';
import { askFront } from './ask-front.ts';
import { type Member, openMember, type Role } from './member.ts';
import type { NatsAccess } from './nats-access.ts';
import { openNatsBus } from './nats-bus.ts';
import { openNatsLease } from './nats-lease.ts';

/** How a process takes part in a hub of several. */
export interface ClusterPlace {
  readonly roles: ReadonlySet<Role>;
  readonly nats: NatsAccess;
  /** Where it is, for devices that look for the nearest; null: nobody said. */
  readonly region: string | null;
}

export interface JoinOptions {
  readonly place: ClusterPlace;
  /** The id of the log's key. */
  readonly hub: string;
  readonly store: FollowedLog;
  /** Where devices reach this process; null as long as it does not listen, or takes none. */
  url(): string | null;
  onError(error: unknown, where: string): void;
  onBroken(error: unknown): void;
}

export interface Joined {
  readonly member: Member;
  close(): Promise<void>;
}

/** Throws HubError `no-bus`, `bus-refused`. */
export async function joinCluster({ place, hub, store, url, onError, onBroken }: JoinOptions): Promise<Joined> {
  const instance = randomBytes(8).toString('hex');
  const { roles, region } = place;
  const name = `potluck ${[...roles].join(',')} ${instance}`;
  const bus = await openNatsBus({ ...place.nats, name, onError: (error) => onError(error, 'the bus') });
  try {
    const lease = await openNatsLease({ bus, name: hub.slice(0, 16) });
    const front = { instance, region, url };
    const member = openMember({
      ...{ hub, roles, bus, lease, store, front, clock: systemClock, askFront, onError, onBroken },
    });
    return {
      member,
      async close() {
        await member.close();
        await bus.close();
      },
    };
  } catch (error) {
    await bus.close();
    throw error;
  }
}
