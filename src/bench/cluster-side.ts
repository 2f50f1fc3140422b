// A process that leads a hub, or follows it, with nothing else in it: as a program (`node cluster-side.ts ORDER`) it is one side of what `bench cluster` measures.
// The log, the journal, the state and the bus are a hub's own; devices, rounds and the page are left out.
import { join } from 'node:path';
import { core } from '../core/reduce.ts';
import { openBlobHolds } from '../hub/blob-holds.ts';
import { openFollowing } from '../hub/cluster/following.ts';
import { openLeading } from '../hub/cluster/leading.ts';
import { openNatsBus } from '../hub/cluster/nats-bus.ts';
import { subjectsOf } from '../hub/cluster/subjects.ts';
import type { S3Place } from '../hub/named-place.ts';
import { openReplica } from '../hub/replica.ts';
import { openObjectJournal } from '../ledger/object-journal.ts';
import { openFollowedLog } from '../ledger/replica.ts';
import { openS3 } from '../ledger/s3/client.ts';
import { s3Objects } from '../ledger/s3/objects.ts';
import { openSqliteLocalLog } from '../ledger/sqlite-log-store.ts';
import { openTransparencyLog } from '../ledger/transparency-log.ts';
import { systemClock } from '../protocol/clock.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';

export interface SideOrder {
  readonly side: 'leader' | 'follower';
  readonly nats: string;
  readonly s3: S3Place;
  /** Where its copy of the log is. */
  readonly folder: string;
  /** The hub's key. */
  readonly key: string;
}

/** What a side says of itself when it is asked. */
export interface SideSaid {
  readonly cpu_us: number;
  readonly events: number;
  /** How long each batch of the leader's took to be in the journal. */
  readonly batches_ms: readonly number[];
  /** When each event was in the state of this side, and durable: milliseconds since 1970, by index. */
  readonly at_ms: readonly (readonly [index: number, at_ms: number])[];
}

/** `say`: what it has used so far, and seen since it was asked last. `follow`: what reading the journal took; from then on it follows. */
export type SideTold = 'say' | 'follow';

async function beSide({ side, nats, s3, folder, key }: SideOrder): Promise<void> {
  const identity = await loadOrCreateIdentity(key);
  const bus = await openNatsBus({ servers: [nats], name: `bench ${side}`, onError: console.error });
  const subjects = subjectsOf(identity.id);
  const batches_ms: number[] = [];
  const plain = openObjectJournal(s3Objects(openS3(s3)));
  const journal = {
    ...plain,
    async append(batch: Parameters<typeof plain.append>[0]) {
      const begun_ms = performance.now();
      await plain.append(batch);
      batches_ms.push(performance.now() - begun_ms);
    },
  };
  const store = await openFollowedLog(openSqliteLocalLog(join(folder, 'hub.sqlite'), 'copy'), journal);
  const log = openTransparencyLog(store, identity);
  const nobody = {
    submit: () => Promise.reject(new Error('asks nobody')),
    write: () => Promise.reject(new Error('asks nobody')),
    size: () => Promise.reject(new Error('asks nobody')),
    catchUp: () => Promise.reject(new Error('asks nobody')),
  };
  const { sequencer } = openReplica({ log, identity, clock: systemClock, machine: core, leader: nobody });
  const at_ms: [number, number][] = [];
  sequencer.onEvent((_, index) => void at_ms.push([index, performance.timeOrigin + performance.now()]));
  if (side === 'leader') {
    store.lead();
    sequencer.lead();
    const { holding: letName } = openBlobHolds();
    openLeading({ store, log, sequencer, bus, subjects, instance: 'leader', letName, onError: console.error });
  }
  const follow = async (): Promise<void> => {
    const following = openFollowing({
      ...{ store, log, sequencer, bus, subjects, clock: systemClock, onLeader() {} },
      askHead: () => Promise.reject(new Error('asks nobody')),
      onBroken: (error) => {
        throw error;
      },
      onError: console.error,
    });
    await following.catchUp();
  };
  await bus.flushed();
  process.on('disconnect', () => process.exit());
  process.on('message', async (told: SideTold) => {
    const before = process.cpuUsage();
    if (told === 'follow') await follow();
    const { user, system } = told === 'follow' ? process.cpuUsage(before) : process.cpuUsage();
    const said: SideSaid = {
      cpu_us: user + system,
      events: sequencer.state.events,
      batches_ms: [...batches_ms],
      at_ms: [...at_ms],
    };
    batches_ms.length = 0;
    at_ms.length = 0;
    process.send!(said);
  });
  process.send!('ready');
}

if (import.meta.main) await beSide(JSON.parse(process.argv[2]) as SideOrder);
