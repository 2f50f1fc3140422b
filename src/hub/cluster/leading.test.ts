// What a process that leads does for the others: it answers a question that is asked again as it did before, and signs for them what is theirs.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { EventBody } from '../../core/events.ts';
import { openObjectJournal } from '../../ledger/object-journal.ts';
import { memoryObjects } from '../../ledger/testing/memory-objects.ts';
import { systemClock } from '../../protocol/clock.ts';
import { eventId } from '../../protocol/envelope.ts';
import { bindingOf, person } from '../../protocol/testing/example-receipt.ts';
import { HubError } from '../errors.ts';
import { askLeader } from './ask-leader.ts';
import type { Bus } from './bus.ts';
import { encodeBusMessage, subjectsOf } from './subjects.ts';
import { type ClusterProcess, openProcess, type Shared, shared } from './testing/processes.ts';

const [owner, device] = [1, 2].map(person);
const HOUR_MS = 3_600_000;
const JUDGED: EventBody = { type: 'answers.judged', version: 1, number: 0, devices: [[device.id, 1, 0]] };

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
};
const leads = (one: ClusterProcess) => until(() => one.core.sequencer.leads);
async function idsIn(of: Shared): Promise<string[]> {
  const ids: string[] = [];
  for await (const { entries } of openObjectJournal(memoryObjects(of.objects)).read(0))
    ids.push(...entries.map(eventId));
  return ids;
}

test('what a follower has signed by a leader that dies with the answer is in the log once, and has the same index', async () => {
  const of = shared();
  const kept = memoryObjects(of.objects);
  let dies = false;
  const create: typeof kept.create = async (name, bytes) => {
    const answer = await kept.create(name, bytes);
    if (!dies || !Buffer.from(bytes).includes('answers.judged')) return answer;
    first.kill();
    return new Promise(() => {});
  };
  const first = await openProcess(of, 'first', { objects: { ...kept, create } });
  await leads(first);
  const second = await openProcess(of, 'second');
  const third = await openProcess(of, 'third', { roles: ['front', 'gateway'] });
  await third.core.services.submit(await bindingOf(owner, device, Date.now() + HOUR_MS), null);
  dies = true;
  const { event, index } = await third.core.sequencer.write(JUDGED);
  assert.equal(second.core.sequencer.leads, true);
  const ids = await idsIn(of);
  assert.equal(ids[index], event.id);
  assert.equal(new Set(ids).size, ids.length);
  assert.deepEqual(third.core.sequencer.state.judged.devices.get(device.id), { accepted: 1, refused: 0 });
  // The same once more is the same; another under its number is refused.
  assert.equal((await third.core.sequencer.write(JUDGED)).index, index);
  await assert.rejects(third.core.sequencer.write({ ...JUDGED, devices: [[device.id, 2, 0]] } as EventBody), {
    code: 'refused',
  });
  await third.close();
  await second.close();
});

/** A front end's way to a leader, over a bus that counts what it asks. */
async function asking(t: TestContext) {
  const of = shared();
  const leader = await openProcess(of, 'leader');
  t.after(leader.close);
  await leads(leader);
  const bus = of.engine.open('another', systemClock, (error) => assert.fail(String(error)));
  const asked: string[] = [];
  const request: Bus['request'] = (subject, ...rest) => {
    asked.push(subject.split('.')[2]);
    return bus.request(subject, ...rest);
  };
  const counted = (more: Partial<Bus> = {}): Bus => Object.assign(Object.create(bus), { request, ...more });
  const events = [3, 4, 5, 6].map(person).map((one) => bindingOf(owner, one, Date.now() + HOUR_MS));
  const subjects = subjectsOf(of.identity.id);
  return { of, leader, asked, counted, events: await Promise.all(events), subjects };
}

test('events that come while one is under way are asked together; each has its own answer', async (t) => {
  const { leader, asked, counted, events, subjects, of } = await asking(t);
  const leaderAsked = askLeader(counted(), subjects, systemClock);
  const twice = await bindingOf(device, person(3), Date.now() + HOUR_MS); // that device has an owner by then
  const broken = events[1].slice(0, -70);
  const [first, second, third, refused, malformed, again] = await Promise.allSettled(
    [events[0], events[1], events[2], twice, broken, events[1]].map((event) => leaderAsked.submit(event)),
  );
  assert.deepEqual(asked, ['submits', 'submits']);
  const placed = [first, second, third].map((one) => one.status === 'fulfilled' && one.value);
  const ids = await idsIn(of);
  assert.deepEqual(
    placed.map((index) => ids[Number(index)]),
    events.slice(0, 3).map(eventId),
  );
  assert.deepEqual(again, second);
  assert.equal(refused.status === 'rejected' && refused.reason.code, 'refused');
  assert.equal(malformed.status === 'rejected' && malformed.reason.code, 'malformed');
  assert.equal(leader.log.size, ids.length);
});

test('a leader that knows questions with one event only gets such questions', async (t) => {
  const { asked, counted, events, subjects, of } = await asking(t);
  const bus = counted();
  const request: Bus['request'] = async (subject, ...rest) => {
    if (subject.includes('submits')) throw new HubError('no-answer', 'nobody serves it', { unheard: true });
    return bus.request(subject, ...rest);
  };
  const leaderAsked = askLeader(counted({ request }), subjects, systemClock);
  const placed = await Promise.all(events.map((event) => leaderAsked.submit(event)));
  assert.deepEqual(asked, ['submit', 'submit', 'submit', 'submit']);
  const ids = await idsIn(of);
  assert.deepEqual(
    placed.map((index) => ids[index]),
    events.map(eventId),
  );
});

test('an answer to other events than were asked is none', async (t) => {
  const { counted, events, subjects } = await asking(t);
  const request: Bus['request'] = async () => encodeBusMessage('all_placed', { answers: [{ index: 1 }, { index: 2 }] });
  const leaderAsked = askLeader(counted({ request }), subjects, systemClock);
  await assert.rejects(leaderAsked.submit(events[0]), { code: 'malformed', message: /expected 1 answers, got 2/ });
});

test('a follower has signed what it learns from its own peers and callers, and nothing else', async () => {
  const of = shared();
  const leader = await openProcess(of, 'leader');
  await leads(leader);
  const bus = of.engine.open('another', systemClock, (error) => assert.fail(String(error)));
  const asked = askLeader(bus, subjectsOf(of.identity.id), systemClock);
  const size = leader.log.size;
  const hash = 'a'.repeat(64);
  const others: EventBody[] = [
    { type: 'peer.left', version: 1, run: hash, peer: hash, session: 1, reason: 'connection lost' },
    { type: 'round.opened', version: 1, run: hash, round: 0, attempt: 0 },
    { type: 'credit.granted', version: 1, account: hash, number: 0, amount_micro: 5 },
  ];
  for (const body of others) await assert.rejects(asked.write(body), { code: 'not-yours' }, body.type);
  assert.equal(leader.log.size, size);
  const { time_ms } = leader.core.sequencer.state;
  assert.equal(await asked.write({ type: 'tick', version: 1, time_ms: time_ms + 1 }), size);
  await assert.rejects(asked.write({ type: 'run.ended', version: 1, run: hash, round: 0, attempt: 0 }), {
    code: 'refused',
  });
  await leader.close();
});
