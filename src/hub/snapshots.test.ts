// Snapshots of the state: a hub that starts from one is where a replay of everything would be, and believes none that does not fit.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { EventBody } from '../core/events.ts';
import { core, type StateMachine } from '../core/reduce.ts';
import { encodeState, stateHash } from '../core/state-bytes.ts';
import { created, History, joined, OWNER, RUN } from '../core/testing/example-history.ts';
import type { LogStore, Snapshot } from '../ledger/log-store.ts';
import { createMemoryLogStore } from '../ledger/testing/memory-log.ts';
import { openTransparencyLog } from '../ledger/transparency-log.ts';
import { createIdentity, type Identity } from '../protocol/identity.ts';
import { openSequencer, type Sequencer } from './sequencer.ts';
import { copyOf, stateBytes, stateBytesBeside } from './snapshot-bytes.ts';
import { openSnapshots } from './snapshots.ts';

const EVERY = 4;
const tick = (time_ms: number): EventBody => ({ type: 'tick', version: 1, time_ms });

interface Opened {
  readonly sequencer: Sequencer;
  /** How many events were replayed. */
  readonly replayed: number;
  readonly warnings: readonly string[];
}

function open(store: LogStore, identity: Identity, rules = 7): Opened {
  const log = openTransparencyLog(store, identity);
  const warnings: string[] = [];
  let applied = 0;
  const machine: StateMachine = {
    ...core,
    apply(state, event) {
      applied++;
      return core.apply(state, event);
    },
  };
  const onProblem = (error: Error) => warnings.push(error.message);
  const snapshots = openSnapshots({ store, log, identity, rules, every_events: EVERY, onProblem });
  const sequencer = openSequencer(log, identity, { machine, snapshots });
  return { sequencer, replayed: applied, warnings };
}

/** A log of so many ticks, as a hub leaves it that is killed, or closed. */
async function written(identity: Identity, ticks: number, close: boolean, first_ms = 0): Promise<LogStore> {
  const store = createMemoryLogStore();
  const { sequencer } = open(store, identity);
  for (let i = 0; i < ticks; i++) await sequencer.write(tick(first_ms + i));
  if (close) await sequencer.close();
  // What was under way when it was killed is done, as far as it got: signing takes a few turns.
  else await new Promise((resolve) => setImmediate(resolve));
  return store;
}

const replayOf = (store: LogStore, identity: Identity): string =>
  stateHash(openSequencer(openTransparencyLog(store, identity), identity).state);

/** The same log with other snapshots. */
const withSnapshots = (store: LogStore, change: (kept: Snapshot[]) => Snapshot[]): LogStore => ({
  ...store,
  get size() {
    return store.size;
  },
  snapshots: (name) => change(store.snapshots(name)),
});

describe('a hub that starts again', () => {
  test('goes on from where it was closed, and knows its last events', async () => {
    const identity = createIdentity();
    const store = await written(identity, 10, true);
    const { sequencer, replayed, warnings } = open(store, identity);
    assert.deepEqual([replayed, sequencer.state.events, warnings], [0, 10, []]);
    assert.equal(stateHash(sequencer.state), replayOf(store, identity));
    const { event, index } = await sequencer.write(tick(99));
    assert.equal(index, 10);
    assert.equal(stateHash(sequencer.state), replayOf(store, identity));
    await sequencer.close();
    assert.equal(await open(store, identity).sequencer.indexOf(event.id), 10, 'an event sent again is known');
  });

  test('goes on from the last snapshot where it was killed', async () => {
    const identity = createIdentity();
    const store = await written(identity, 10, false);
    const { sequencer, replayed } = open(store, identity);
    assert.deepEqual([replayed, sequencer.state.events], [2, 10]);
    assert.equal(stateHash(sequencer.state), replayOf(store, identity));
    assert.deepEqual(
      store.snapshots('state').map(({ size }) => size),
      [8, 4],
    );
  });
});

test('what comes while a snapshot is written is not in it: it is of the events that it says, in a thread too', async () => {
  const identity = createIdentity();
  const store = createMemoryLogStore();
  const log = openTransparencyLog(store, identity);
  const begun = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const bytesOf = async (copy: Uint8Array) => {
    begun.resolve();
    await goOn.promise;
    return stateBytesBeside(copy, 0);
  };
  let seen: number[] = [];
  const beside = {
    take: () => seen,
    restore: (kept: unknown) => {
      seen = kept as number[];
    },
  };
  const options = { store, log, identity, beside, rules: 7, every_events: EVERY, onProblem: assert.fail };
  const snapshots = openSnapshots({ ...options, bytesOf });
  const sequencer = openSequencer(log, identity, { snapshots });
  for (let i = 0; i < EVERY; i++) await sequencer.write(tick(i));
  const hash = stateHash(sequencer.state);
  await begun.promise;
  seen.push(1);
  for (let i = 0; i < EVERY - 1; i++) await sequencer.write(tick(EVERY + i));
  assert.deepEqual(store.snapshots('state'), [], 'events are taken while it is written');
  goOn.resolve();
  await snapshots.written();
  const restored = openSnapshots(options).restore()!;
  assert.deepEqual([restored.events, stateHash(restored), seen], [EVERY, hash, []]);
});

test('a state of any form is the same bytes by way of its copy', () => {
  const history = new History();
  history.happen(OWNER, created(), RUN);
  for (const role of ['worker', 'validator'] as const) history.happen(createIdentity().id, joined(role));
  assert.deepEqual(stateBytes(copyOf(history.state)), encodeState(history.state));
});

test('what else follows from the log is kept beside the state, and given back', async () => {
  const identity = createIdentity();
  const store = createMemoryLogStore();
  const log = openTransparencyLog(store, identity);
  let seen = 0;
  const beside = {
    take: () => ({ seen }),
    restore: (kept: unknown) => {
      seen = (kept as { seen: number }).seen;
    },
  };
  const options = { store, log, identity, beside, rules: 7, onProblem: assert.fail };
  const sequencer = openSequencer(log, identity, { snapshots: openSnapshots(options) });
  await sequencer.write(tick(1));
  seen = 7;
  await sequencer.close();
  seen = 0;
  openSequencer(log, identity, { snapshots: openSnapshots(options) });
  assert.equal(seen, 7);
});

describe('a snapshot is not believed', () => {
  const isIgnored = (store: LogStore, identity: Identity, warning: RegExp, replayed: number, rules?: number) => {
    const opened = open(store, identity, rules);
    assert.match(opened.warnings.join('\n'), warning);
    assert.equal(opened.replayed, replayed);
    assert.equal(stateHash(opened.sequencer.state), replayOf(store, identity));
  };

  test('with any byte changed: the one before it is used', async () => {
    const identity = createIdentity();
    const store = await written(identity, 10, false);
    const length = store.snapshots('state')[0].bytes!.length;
    for (let at = 0; at < length; at++) {
      const damaged = withSnapshots(store, ([newest, ...others]) => {
        newest.bytes![at] ^= 0x10;
        return [newest, ...others];
      });
      isIgnored(damaged, identity, /snapshot of 8 events is not used/, 6);
    }
    const lost = withSnapshots(store, (kept) => kept.map(({ size }) => ({ size, bytes: null })));
    isIgnored(lost, identity, /8 .*damaged\n.*4 .*damaged/, 10);
    const empty = withSnapshots(store, (kept) => kept.map(({ size }) => ({ size, bytes: new Uint8Array(0) })));
    isIgnored(empty, identity, /form is damaged/, 10);
  });

  test('of another hub, of another log of this hub, of a longer log, under a wrong size', async () => {
    const identity = createIdentity();
    const store = await written(identity, 10, false);
    const take = (other: LogStore) => withSnapshots(store, () => other.snapshots('state'));
    isIgnored(take(await written(createIdentity(), 8, true)), identity, /not signed by this hub's key/, 10);
    isIgnored(take(await written(identity, 8, true, 50)), identity, /belongs to another log/, 10);
    isIgnored(take(await written(identity, 20, true)), identity, /the log has 10 events/, 10);
    const renamed = withSnapshots(store, ([newest]) => [{ ...newest, size: 7 }]);
    isIgnored(renamed, identity, /of 7 events is not used: it says that it is of 8 events/, 10);
  });

  test('made by other rules', async () => {
    const identity = createIdentity();
    const store = await written(identity, 10, true);
    isIgnored(store, identity, /other rules have made it/, 10, 8);
  });
});

test('a snapshot that cannot be written is a warning, and nothing is lost', async () => {
  const identity = createIdentity();
  const store = createMemoryLogStore();
  const full: LogStore = {
    ...store,
    get size() {
      return store.size;
    },
    putSnapshot() {
      throw new Error('disk full');
    },
  };
  const { sequencer, warnings } = open(full, identity);
  for (let i = 0; i < EVERY; i++) await sequencer.write(tick(i));
  await sequencer.close();
  assert.match(warnings.join(), /snapshot of 4 events was not written: disk full/);
  assert.deepEqual(store.snapshots('state'), []);
  assert.equal(open(store, identity).sequencer.state.events, EVERY);
});
