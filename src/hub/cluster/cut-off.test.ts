// A process that lacks the bus or the journal sends its devices to one that has both, and keeps them where there is none.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { handClock } from '../../protocol/testing/hand-clock.ts';
import { askFront } from './ask-front.ts';
import { CUT_OFF_LIMITS, type FrontsWord, openCutOff } from './cut-off.ts';

/** A process and what the others would say, which a test changes as it likes. */
function open(words: Record<string, FrontsWord>) {
  const clock = handClock();
  const told: boolean[] = [];
  let tell: (connected: boolean) => void = () => {};
  const world = { leads: false, silent_ms: 0, connected: true, caughtUp: 0, fails: false, words, asked: 0 };
  const cutOff = openCutOff({
    clock,
    bus: {
      get connected() {
        return world.connected;
      },
      onConnected: (listener) => {
        tell = listener;
      },
    },
    leads: () => world.leads,
    journalSilent_ms: () => world.silent_ms,
    others: () => Object.keys(world.words),
    ask: async (url) => {
      world.asked++;
      return world.words[url];
    },
    catchUp: async () => {
      if (world.fails) throw new Error('the journal cannot be reached');
      world.caughtUp++;
    },
  });
  cutOff.onChange(() => told.push(cutOff.away !== null));
  const bus = (connected: boolean): void => {
    world.connected = connected;
    tell(connected);
  };
  return { clock, cutOff, told, world, bus };
}

const LONG_MS = CUT_OFF_LIMITS.bus_ms + CUT_OFF_LIMITS.look_ms;

test('who lacks the bus for a while sends its devices to another process that has it, and takes them again when it has caught up', async () => {
  const { clock, cutOff, told, world, bus } = open({ a: 'lacking', b: 'fine' });
  await clock.pass(5000);
  assert.deepEqual([cutOff.lacked, cutOff.away, world.asked], [null, null, 0]);
  bus(false);
  await clock.pass(CUT_OFF_LIMITS.bus_ms - CUT_OFF_LIMITS.look_ms);
  bus(true); // a server that dies is replaced by the next
  await clock.pass(LONG_MS);
  assert.deepEqual([told, world.asked], [[], 0]);
  bus(false);
  await clock.pass(LONG_MS);
  assert.equal(cutOff.lacked, 'bus');
  assert.match(cutOff.away!, /does not reach the others/);
  world.fails = true;
  bus(true);
  await clock.pass(10_000);
  assert.match(cutOff.away!, /does not reach the others/, 'it has not caught up');
  world.fails = false;
  await clock.pass(CUT_OFF_LIMITS.ask_again_ms);
  assert.deepEqual([cutOff.lacked, cutOff.away, world.caughtUp, told], [null, null, 1, [true, false]]);
});

test('who lacks the journal likewise, but a slow one is waited for', async () => {
  const { clock, cutOff, told, world } = open({ a: 'fine' });
  world.silent_ms = CUT_OFF_LIMITS.journal_ms - 1;
  await clock.pass(5000);
  assert.deepEqual(told, []);
  world.silent_ms = CUT_OFF_LIMITS.journal_ms;
  await clock.pass(CUT_OFF_LIMITS.look_ms);
  assert.equal(cutOff.lacked, 'journal');
  assert.match(cutOff.away!, /does not reach the hub's log/);
});

test('where everybody lacks it, or there is nobody else, devices stay; they leave as soon as one has it', async () => {
  const { clock, cutOff, told, world, bus } = open({ a: 'lacking', b: 'silent' });
  bus(false);
  await clock.pass(60_000);
  assert.deepEqual([cutOff.lacked, cutOff.away, told], ['bus', null, []]);
  world.words.a = 'fine';
  await clock.pass(CUT_OFF_LIMITS.ask_again_ms);
  assert.deepEqual(told, [true]);
  world.words.a = 'lacking';
  await clock.pass(CUT_OFF_LIMITS.ask_again_ms);
  assert.deepEqual(told, [true, false], 'it is better nowhere any more');
  const alone = open({});
  alone.bus(false);
  await alone.clock.pass(60_000);
  assert.deepEqual([alone.cutOff.lacked, alone.told], ['bus', []]);
});

test('where nobody answers, this process is the one that is out of reach', async () => {
  const { clock, told, bus } = open({ a: 'silent', b: 'silent' });
  bus(false);
  await clock.pass(LONG_MS);
  assert.deepEqual(told, [true]);
});

test('who leads keeps its devices: the journal says whether it may', async () => {
  const { clock, cutOff, told, world, bus } = open({ a: 'fine' });
  world.leads = true;
  world.silent_ms = 60_000;
  bus(false);
  await clock.pass(60_000);
  assert.deepEqual([cutOff.lacked, told], [null, []]);
});

test('a process that opens without the bus lacks it from then on; one that is closed says nothing more', async () => {
  const clock = handClock();
  const cutOff = openCutOff({
    ...{ clock, bus: { connected: false, onConnected() {} }, leads: () => false, journalSilent_ms: () => 0 },
    ...{ others: () => ['a'], ask: async () => 'fine', catchUp: async () => {} },
  });
  let told = 0;
  cutOff.onChange(() => told++);
  const { clock: another, told: nothing, bus, cutOff: closed } = open({ a: 'fine' });
  bus(false);
  closed.close();
  await another.pass(LONG_MS);
  await clock.pass(LONG_MS);
  assert.deepEqual([told, nothing], [1, []]);
  cutOff.close();
});

test('another process is asked as its devices ask it', async (t) => {
  let answer: { status: number; body: string } = { status: 200, body: '' };
  const server = createServer((request, response) => {
    assert.equal(request.url, '/ready');
    response.statusCode = answer.status;
    response.end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  const says = (status: number, body: unknown): Promise<FrontsWord> => {
    answer = { status, body: JSON.stringify(body) };
    return askFront(url);
  };
  assert.equal(await says(200, { ready: true, state: 'ready' }), 'fine');
  assert.equal(await says(200, { ready: true, state: 'ready', lacks: 'bus' }), 'lacking');
  assert.equal(await says(503, { ready: false, state: 'cut-off', reason: 'x', lacks: 'journal' }), 'lacking');
  assert.equal(await says(503, { ready: false, state: 'closing', reason: 'x' }), 'lacking');
  assert.equal(await says(502, 'a proxy'), 'silent');
  assert.equal(await askFront('http://127.0.0.1:1'), 'silent');
});
