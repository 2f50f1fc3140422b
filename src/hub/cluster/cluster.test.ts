// A hub of several processes: what a follower acknowledges is in the journal once and is the same everywhere, whoever leads and whoever dies.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RULES_VERSION } from '../../core/reduce.ts';
import { openObjectJournal } from '../../ledger/object-journal.ts';
import { verifyReceipt } from '../../ledger/receipt.ts';
import { createMemoryLocalLog } from '../../ledger/testing/memory-log.ts';
import { memoryObjects } from '../../ledger/testing/memory-objects.ts';
import { systemClock } from '../../protocol/clock.ts';
import { signEvent } from '../../protocol/envelope.ts';
import { sha256Hex } from '../../protocol/hash.ts';
import { createIdentity, type Identity } from '../../protocol/identity.ts';
import { encodeBusMessage, subjectsOf } from './subjects.ts';
import { type ClusterProcess, openProcess, type Shared, shared } from './testing/processes.ts';

const address = (of: Shared, author: Identity, change = 0): Promise<Uint8Array> => {
  const body = { type: 'account.address', version: 1, hub: of.identity.id, change, chain: 'evm' } as const;
  return signEvent(author, { ...body, address: `0x${String(change).padStart(40, '0')}` });
};
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
};
const leads = (one: ClusterProcess) => until(() => one.core.sequencer.leads);
/** Hands an event in at a process, and checks the receipt. */
async function handIn(of: Shared, at: ClusterProcess, event: Uint8Array): Promise<number> {
  const { id, receipt } = await at.core.services.submit(event, null);
  assert.equal(id, sha256Hex(event));
  verifyReceipt(receipt, event, of.identity.id);
  return receipt.index;
}
async function entriesOf(of: Shared): Promise<string[]> {
  const ids: string[] = [];
  for await (const { entries } of openObjectJournal(memoryObjects(of.objects)).read(0)) {
    for (const entry of entries) ids.push(sha256Hex(entry));
  }
  return ids;
}

test('an event that a follower gets is in the journal, in both logs, and its receipt is the leader’s', async () => {
  const of = shared();
  const first = await openProcess(of, 'first');
  await leads(first);
  const second = await openProcess(of, 'second');
  assert.equal(second.core.sequencer.leads, false);
  const events = await Promise.all(Array.from({ length: 20 }, () => address(of, createIdentity())));
  const indices = await Promise.all(events.map((event, i) => handIn(of, i % 2 ? first : second, event)));
  assert.equal(new Set(indices).size, events.length);
  await until(() => second.core.sequencer.state.events === first.core.sequencer.state.events);
  const entries = await entriesOf(of);
  for (const [i, event] of events.entries()) assert.equal(entries[indices[i]], sha256Hex(event));
  assert.deepEqual(second.log.rootAt(second.log.size), first.log.rootAt(second.log.size));
  // A refusal is the core's own, by way of the leader too; what is sent again gets the same answer.
  await assert.rejects(handIn(of, second, await address(of, createIdentity(), 3)), { code: 'refused' });
  assert.equal(await handIn(of, second, events[3]), indices[3]);
  // Also while it is being written: at the same process, and by way of two.
  const twice = await address(of, createIdentity());
  const answers = await Promise.all([first, second, second, first].map((at) => handIn(of, at, twice)));
  assert.equal(new Set(answers).size, 1);
  await second.close();
  await first.close();
});

test('a process that has not heard yet of what an event builds on does not refuse it', async () => {
  const of = shared();
  const first = await openProcess(of, 'first');
  await leads(first);
  const second = await openProcess(of, 'second');
  await until(() => second.store.size === first.store.size);
  of.engine.weather.delay_ms = 60;
  const device = createIdentity();
  const known = second.store.size;
  const index = await handIn(of, first, await address(of, device, 0));
  assert.equal(second.store.size, known, 'it is still on its way');
  assert.equal(await handIn(of, second, await address(of, device, 1)), index + 1);
  await second.close();
  await first.close();
});

test('a process whose rules are not the leader’s ends, and says which are whose', async () => {
  const of = shared();
  const first = await openProcess(of, 'first');
  await leads(first);
  const second = await openProcess(of, 'second');
  const stranger = of.engine.open('stranger', systemClock, () => {});
  const { note } = await first.log.checkpoint();
  const newer = { batch: null, note, rules: RULES_VERSION + 1, leader: 'stranger' };
  stranger.publish(subjectsOf(of.identity.id).batch, encodeBusMessage('batch', newer));
  await until(() => second.broken() !== null);
  assert.match(
    String(second.broken()),
    new RegExp(`by rules ${RULES_VERSION + 1}, this one by rules ${RULES_VERSION}`),
  );
  await second.close();
  await first.close();
});

test('when the leader dies another process leads, nothing acknowledged is lost, and what was not answered is in the log once', async () => {
  const of = shared();
  const first = await openProcess(of, 'first');
  await leads(first);
  const second = await openProcess(of, 'second');
  const third = await openProcess(of, 'third', { roles: ['front'] });
  const before = await Promise.all(Array.from({ length: 8 }, () => address(of, createIdentity())));
  const acknowledged = await Promise.all(before.map((event) => handIn(of, third, event)));
  const during = await Promise.all(Array.from({ length: 8 }, () => address(of, createIdentity())));
  const asked = during.map((event) => handIn(of, third, event));
  first.kill();
  const answered = await Promise.all(asked);
  assert.equal(second.core.sequencer.leads, true);
  assert.equal(third.core.sequencer.leads, false);
  const entries = await entriesOf(of);
  assert.equal(new Set(entries).size, entries.length, 'nothing twice');
  for (const [i, event] of before.entries()) assert.equal(entries[acknowledged[i]], sha256Hex(event));
  for (const [i, event] of during.entries()) assert.equal(entries[answered[i]], sha256Hex(event));
  await third.close();
  await second.close();
});

test('a leader that was away writes nothing more: its first write is refused by the journal, and it answers nobody', async () => {
  const of = shared();
  const local = createMemoryLocalLog();
  const first = await openProcess(of, 'first', { local });
  await leads(first);
  await handIn(of, first, await address(of, createIdentity()));
  // Its lease ends unnoticed, as for a process that was stopped for a while.
  of.engine.part([['first']]);
  of.hears('first', false);
  const second = await openProcess(of, 'second');
  const known = first.store.size;
  await until(() => second.store.size > known); // it has written its first entry
  const late = await address(of, createIdentity());
  const size = (await entriesOf(of)).length;
  await assert.rejects(first.core.services.submit(late, null), { code: /fenced|log-failed/ });
  assert.match(String(first.broken()), /another process writes this log/);
  assert.equal((await entriesOf(of)).length, size);
  await first.close();
  // It comes back as a follower.
  of.engine.part([]);
  of.hears('first', true);
  const again = await openProcess(of, 'first', { local });
  assert.equal(again.core.sequencer.leads, false);
  await handIn(of, again, late);
  await again.close();
  await second.close();
});

test('an event that comes twice while it is being written has one answer; a process that lags catches up before it refuses', async () => {
  const of = shared();
  const kept = memoryObjects(of.objects);
  const create: typeof kept.create = async (name, bytes) => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    return kept.create(name, bytes);
  };
  const first = await openProcess(of, 'first', { objects: { ...kept, create } });
  await leads(first);
  const second = await openProcess(of, 'second', { roles: ['front'] });
  const author = createIdentity();
  const event = await address(of, author);
  const indices = await Promise.all([first, second, first].map((at) => handIn(of, at, event)));
  assert.equal(new Set(indices).size, 1);
  // The second hears nothing for a while, and then of an event that follows on what it has not heard.
  of.engine.part([['second']]);
  await handIn(of, first, await address(of, author, 1));
  of.engine.part([]);
  await handIn(of, second, await address(of, author, 2));
  await second.close();
  await first.close();
});

test('a leader that nobody asks for anything finds out that another process has taken over, and ends', async () => {
  const of = shared();
  const first = await openProcess(of, 'first');
  await leads(first);
  of.engine.part([['first']]);
  of.hears('first', false);
  const second = await openProcess(of, 'second');
  await until(() => first.broken() !== null);
  assert.match(String(first.broken()), /another process writes this log/);
  assert.equal(second.core.sequencer.leads, true);
  await first.close();
  await second.close();
});

test('a question to a leader that stands still goes to the next one as soon as that writes', async () => {
  const of = shared();
  const store = memoryObjects(of.objects);
  let still = false;
  const { promise: gate, resolve: goOn } = Promise.withResolvers<void>();
  const slow = {
    ...store,
    create: async (name: string, bytes: Uint8Array) => {
      if (still) await gate;
      return store.create(name, bytes);
    },
  };
  const first = await openProcess(of, 'first', { objects: slow });
  await leads(first);
  const second = await openProcess(of, 'second');
  const third = await openProcess(of, 'third', { roles: ['front'] });
  await handIn(of, third, await address(of, createIdentity()));
  still = true;
  of.hears('first', false); // it is on the bus, but renews no lease and writes nothing
  const events = await Promise.all(Array.from({ length: 4 }, () => address(of, createIdentity())));
  const since_ms = performance.now();
  const indices = await Promise.all(events.map((event) => handIn(of, third, event)));
  assert.equal(second.core.sequencer.leads, true);
  assert.ok(performance.now() - since_ms < 5500, 'sooner than a question is given up');
  const entries = await entriesOf(of);
  for (const [i, event] of events.entries()) assert.equal(entries[indices[i]], sha256Hex(event));
  assert.equal(new Set(entries).size, entries.length);
  goOn();
  await until(() => first.broken() !== null);
  for (const one of [third, second, first]) await one.close();
});
