// What a connection may send, and how often: on fake channels and a clock that stands still, so that every limit is met exactly.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Encoder } from 'cbor-x';
import { initialState } from '../core/state.ts';
import { created, History, joined, left, OWNER, RUN } from '../core/testing/example-history.ts';
import type { Receipt } from '../ledger/receipt.ts';
import type { Channel, ChannelListener } from '../protocol/channel.ts';
import { type Clock, systemClock } from '../protocol/clock.ts';
import { encodeMessage } from '../protocol/encode-message.ts';
import { decodeFromHub, type FromHub } from '../protocol/from-hub.ts';
import type { FromPeer } from '../protocol/from-peer.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { createIdentity } from '../protocol/identity.ts';
import { helloChallenge, PROTOCOL_VERSION } from '../protocol/messages.ts';
import { ALONE } from './cluster/presence.ts';
import { NO_TALK } from './cluster/talk.ts';
import { CONNECTION_LIMITS } from './connection.ts';
import { type HubServices, openConnections } from './connections.ts';
import { HubError } from './errors.ts';
import { openFeed } from './feed.ts';
import { openHistories } from './history.ts';
import { openRateLimits, RATES } from './rate-limits.ts';
import { NO_RELAY_COUNTS } from './relay.ts';
import { openSamples } from './samples.ts';
import { openKept } from './statuses.ts';

const HUB = 'a'.repeat(64);

function openHub(
  submit: (event: Uint8Array) => Promise<{ id: string; receipt: Receipt }>,
  setTimeout: Clock['setTimeout'] = () => undefined,
  takeEnclosed: HubServices['takeEnclosed'] = () => Promise.reject(new Error('nothing is enclosed')),
  more: Partial<HubServices> = {},
) {
  let now_ms = 0;
  const clock = { ...systemClock, elapsed_ms: () => now_ms, setTimeout, clearTimeout: () => {} };
  const state = initialState(HUB);
  const samples = openSamples(() => state);
  const statuses = openKept(() => [], clock);
  const feed = openFeed({ statuses, histories: openHistories(), samples, now_ms: () => now_ms, events: () => 0 });
  const failures: unknown[] = [];
  const services: HubServices = {
    ...{ id: HUB, state, clock, time: { until_ms: () => 0 }, randomBytes: (length: number) => new Uint8Array(length) },
    ...{
      telemetry: new Map(),
      submit,
      take: async (bytes) => ({ id: (await submit(bytes)).id, index: bytes[0], bytes }),
      prove: async (logged) => ({
        checkpoint: 'head',
        of: logged.map(({ id: event, index }) => ({ event, index, proof: new Uint8Array(32) })),
      }),
      takeEnclosed,
      write: () => Promise.reject(new Error('nothing is written')),
      statuses,
      feed,
      samples,
    },
    ...{ rates: openRateLimits(clock), onRefused: () => {}, onError: (error) => void failures.push(error) },
    pool: { hear: () => {}, gone: () => {} },
    relayCounts: NO_RELAY_COUNTS,
    ...{ presence: ALONE, talk: NO_TALK, relayAround: null, servingAround: null, leads: () => true, ...more },
  };
  const connections = openConnections(services, CONNECTION_LIMITS);
  const connect = () => {
    const heard: FromHub[] = [];
    const end = { code: 0, reason: '', deaf: false };
    let listener!: ChannelListener;
    const channel: Channel = {
      ...{ open: true, closed: false, queued_bytes: 0 },
      listen: (given) => {
        listener = given;
      },
      send: (frame) => void heard.push(decodeFromHub(frame)),
      ping: () => {},
      deafen: () => void Object.assign(end, { deaf: true }),
      close: (code = 1005, reason = '') =>
        void Object.assign(Object.assign(end, { code, reason }) && channel, { open: false }),
      terminate: () => void Object.assign(channel, { open: false }),
    };
    connections.accept(channel, null);
    return {
      heard,
      end,
      channel,
      /** Sends, and waits for what the hub does about it. */
      async say(message: FromPeer | Uint8Array) {
        listener.onMessage(message instanceof Uint8Array ? message : encodeMessage(message));
        await new Promise(setImmediate);
        const last = heard.at(-1)!;
        return last.type === 'refused' ? last.code : last.type;
      },
      gone: () => listener.onClose(''),
      alive: () => listener.onAlive(),
    };
  };
  const observer = async () => {
    const connection = connect();
    await connection.say({ type: 'hello', protocol: PROTOCOL_VERSION, role: 'observer', changes: true });
    return connection;
  };
  const move = (by_ms: number): void => {
    now_ms += by_ms;
  };
  return { connections, connect, observer, move, failures, state };
}

const taken = async (event: Uint8Array) => ({ id: sha256Hex(event), receipt: {} as Receipt });
const raw = (message: object): Uint8Array => new Uint8Array(new Encoder({ useRecords: false }).encode(message));

describe('a connection', () => {
  test('ends after twenty messages that cannot be read, with a code and words that say why', async () => {
    const hub = openHub(taken);
    const junk = await hub.observer();
    const honest = await hub.observer();
    const frame = raw({ type: 'ping', ...Object.fromEntries(Array.from({ length: 90_000 }, (_, i) => [`k${i}`, 1])) });
    for (let i = 0; i < RATES.malformed_connection.burst; i++) {
      assert.equal(await junk.say(i % 2 ? frame : raw({ type: 'ping', more: 1 })), i % 2 ? 'too-large' : 'malformed');
      assert.ok(junk.channel.open);
    }
    await junk.say(frame);
    const last = junk.heard.at(-1)!;
    assert.ok(last.type === 'refused' && last.code === 'not-understood');
    assert.match(last.message, /at most 75000 bytes, got \d+; another version of potluck may help/);
    assert.deepEqual(junk.end, { code: 1008, reason: 'not-understood', deaf: true });
    assert.equal(await honest.say({ type: 'ping' }), 'pong');
  });

  test('may be misunderstood now and then', async () => {
    const hub = openHub(taken);
    const peer = await hub.observer();
    for (let i = 0; i < 10 * RATES.malformed_connection.burst; i++) {
      assert.equal(await peer.say(raw({ type: 'new thing' })), 'malformed');
      hub.move(1000 / RATES.malformed_connection.per_second);
    }
    assert.ok(peer.channel.open);
  });

  test('is told when it talks too fast, and ends, to come back later, when it does not stop', async () => {
    const hub = openHub(taken);
    const peer = await hub.observer();
    for (let i = 0; i < RATES.talk_connection.burst; i++) assert.equal(await peer.say({ type: 'ping' }), 'pong');
    for (let i = 0; i < RATES.too_fast_connection.burst; i++)
      assert.equal(await peer.say({ type: 'ping' }), 'too-fast');
    assert.ok(peer.channel.open);
    await peer.say({ type: 'ping' });
    assert.deepEqual([peer.end.code, peer.end.deaf], [1013, true]);
    assert.match(peer.end.reason, /^too-fast: .* try again later$/);
    assert.equal(
      await (await hub.observer()).say({ type: 'ping' }),
      'pong',
      'another connection has a rate of its own',
    );
  });

  test('that tells how far it is three times a second is never too fast', async () => {
    const hub = openHub(taken);
    const peer = await hub.observer();
    for (let i = 0; i < 1000; i++) {
      await peer.say({
        type: 'progress',
        state: 'working',
        round: 1,
        amount: i,
        amount_per_second: 1,
        numbers: { steps: i, loss_micro: 1000000 },
      });
      hub.move(300);
    }
    assert.deepEqual(
      peer.heard.filter(({ type }) => type === 'refused'),
      [],
    );
  });

  test('ends when too many of its messages wait for their answer', async () => {
    const hub = openHub(() => new Promise(() => {}));
    const peer = await hub.observer();
    const event = (i: number) => peer.say({ type: 'event', event: Uint8Array.of(i) });
    for (let i = 0; i < CONNECTION_LIMITS.waiting_messages; i++) await event(i);
    assert.ok(peer.channel.open);
    assert.equal(await event(99), 'too-many-messages');
    assert.deepEqual(peer.end, { code: 1008, reason: 'too-many-messages', deaf: true });
  });

  test('may be refused by the core as often as it likes', async () => {
    const hub = openHub(() => Promise.reject(new HubError('refused', 'too late', { refusal: 'wrong-phase' })));
    const peer = await hub.observer();
    for (let i = 0; i < 500; i++)
      assert.equal(await peer.say({ type: 'event', event: Uint8Array.of(i & 255) }), 'wrong-phase');
    assert.ok(peer.channel.open);
    assert.deepEqual(hub.failures, []);
  });
});

test('nothing waits for a hello that has come, and what ends a connection goes on though its hello comes meanwhile', async () => {
  const timers = new Map<object, number>();
  const clock: Clock = {
    ...{ ...systemClock, elapsed_ms: () => 0 },
    setTimeout(_, delay_ms) {
      const timer = {};
      timers.set(timer, delay_ms);
      return timer;
    },
    clearTimeout: (timer) => void timers.delete(timer as object),
  };
  const { connections, connect, observer } = openHub(taken, undefined, undefined, { clock });
  const waiting = (delay_ms: number): number => [...timers.values()].filter((ms) => ms === delay_ms).length;
  const late = connect();
  await observer();
  assert.equal(waiting(CONNECTION_LIMITS.hello_ms), 1);
  const said = late.say({ type: 'hello', protocol: PROTOCOL_VERSION, role: 'observer', changes: true });
  connections.close();
  await said;
  assert.equal(waiting(CONNECTION_LIMITS.goodbye_ms), 2, 'who does not close is cut off');
});

test('nobody is answered with the receipt of another event: the connection ends and the operator hears of it', async () => {
  const hub = openHub(async () => ({ id: HUB, receipt: {} as Receipt }));
  const peer = await hub.observer();
  await peer.say({ type: 'event', event: Uint8Array.of(1) });
  assert.deepEqual([peer.end.code, peer.heard.some(({ type }) => type === 'accepted')], [1011, false]);
  assert.match(String(hub.failures), /a peer gets receipts only for events that it has sent/);
});

test('who joins without a connection is taken for gone, unless the hub itself cannot be reached by anybody', () => {
  const timers: number[] = [];
  const { connections } = openHub(taken, (_run, ms) => void timers.push(ms));
  timers.length = 0;
  connections.joined('r', 'p');
  assert.deepEqual(timers, [CONNECTION_LIMITS.lost_after_ms]);
  connections.suspend('the disk is full');
  timers.length = 0;
  connections.joined('r', 'p');
  assert.deepEqual(timers, []);
});

test('who is counted as what, while connections come and go', async () => {
  const hub = openHub(taken);
  const [first, second] = [await hub.observer(), hub.connect()];
  assert.deepEqual(Object.fromEntries(hub.connections.roles()), { observer: 1, unnamed: 1 });
  first.gone();
  second.gone();
  assert.deepEqual([hub.connections.count(), hub.connections.roles().size], [0, 0]);
});

test('workers and validators of a run pass frames to each other, in either direction, and nobody else does', async () => {
  const hub = openHub(taken);
  const history = new History();
  history.happen(OWNER, created(), RUN);
  hub.state.runs.set(RUN, history.run);
  const device = async (role: 'worker' | 'validator', here = true) => {
    const [connection, identity] = [hub.connect(), createIdentity()];
    const { id: peer } = identity;
    if (here) history.happen(peer, joined(role));
    const signature = await identity.sign(helloChallenge(HUB, new Uint8Array(32)));
    await connection.say({ type: 'hello', protocol: PROTOCOL_VERSION, role, run: RUN, peer, signature });
    return { ...connection, peer };
  };
  const roles = ['worker', 'worker', 'validator', 'validator'] as const;
  const devices = await Promise.all(roles.map((role) => device(role)));
  const sealed = Uint8Array.of(1);
  for (const from of devices) {
    for (const to of devices) {
      if (from === to) continue;
      await from.say({ type: 'relay', to: to.peer, number: 1, sealed });
      assert.deepEqual(to.heard.at(-1), { type: 'relay', from: from.peer, number: 1, sealed });
    }
  }
  const stranger = await device('worker', false);
  assert.equal(await stranger.say({ type: 'relay', to: devices[0].peer, number: 1, sealed }), 'malformed');
  assert.equal(await devices[0].say({ type: 'relay', to: stranger.peer, number: 1, sealed }), 'relay-lost');
  history.happen(devices[0].peer, left(devices[0].peer));
  assert.equal(await devices[0].say({ type: 'relay', to: devices[1].peer, number: 9, sealed }), 'relay-lost');
});

test('each connection is pinged once in ten seconds, a part of all at a time, and is over when it does not answer until the next', async () => {
  const turns: (() => void)[] = [];
  const hub = openHub(taken, (run, ms) =>
    ms < 1000 && ms !== CONNECTION_LIMITS.news_ms ? turns.push(run) : undefined,
  );
  const pinged = new Map<number, number>();
  const all = Array.from({ length: 40 }, (_, i) => {
    const connection = hub.connect();
    connection.channel.ping = () => void pinged.set(i, (pinged.get(i) ?? 0) + 1);
    return connection;
  });
  const most: number[] = [];
  const round = (): void => {
    for (let i = 0; i < 20; i++) {
      const before = [...pinged.values()].reduce((sum, one) => sum + one, 0);
      turns.shift()!();
      most.push([...pinged.values()].reduce((sum, one) => sum + one, 0) - before);
    }
  };
  round();
  assert.deepEqual([Math.max(...most), pinged.size, Math.max(...pinged.values())], [2, 40, 1]);
  for (const connection of all.slice(1)) connection.alive();
  round();
  assert.deepEqual([all[0].channel.open, all[1].channel.open, pinged.get(0), pinged.get(1)], [false, true, 1, 2]);
});

test('who is welcomed gets all that it is told then in one piece', async () => {
  const hub = openHub(taken);
  const history = new History();
  history.happen(OWNER, created(), RUN);
  hub.state.runs.set(RUN, history.run);
  const [connection, identity] = [hub.connect(), createIdentity()];
  const pieces: number[] = [];
  connection.channel.together = (work) => {
    const before = connection.heard.length;
    work();
    pieces.push(connection.heard.length - before);
  };
  const signature = await identity.sign(helloChallenge(HUB, new Uint8Array(32)));
  const hello = { type: 'hello', protocol: PROTOCOL_VERSION, role: 'worker', run: RUN, peer: identity.id } as const;
  await connection.say({ ...hello, signature });
  assert.deepEqual([pieces, connection.heard.slice(-2).map(({ type }) => type)], [[2], ['welcome', 'run']]);
});

test('what an event encloses is kept before the event is taken, as its key’s, and refused with it; of an observer it is nothing', async () => {
  const seen: string[] = [];
  const submit = (event: Uint8Array) => {
    seen.push(`event ${event[0]}`);
    return taken(event);
  };
  let full = false;
  const hub = openHub(submit, undefined, async ({ peer }, bytes) => {
    if (full) throw new HubError('too-much', 'no room');
    await Promise.resolve();
    seen.push(`${peer.slice(0, 4)} ${bytes.length}`);
  });
  const history = new History();
  history.happen(OWNER, created(), RUN);
  hub.state.runs.set(RUN, history.run);
  const [connection, identity] = [hub.connect(), createIdentity()];
  const { id: peer } = identity;
  const signature = await identity.sign(helloChallenge(HUB, new Uint8Array(32)));
  await connection.say({ type: 'hello', protocol: PROTOCOL_VERSION, role: 'worker', run: RUN, peer, signature });
  const enclosed = new Uint8Array(7);
  assert.equal(await connection.say({ type: 'event', event: Uint8Array.of(1), enclosed }), 'accepted');
  full = true;
  assert.equal(await connection.say({ type: 'event', event: Uint8Array.of(2), enclosed }), 'too-much');
  assert.equal(await connection.say({ type: 'event', event: Uint8Array.of(3) }), 'accepted');
  const observer = await hub.observer();
  assert.equal(await observer.say({ type: 'event', event: Uint8Array.of(4), enclosed }), 'malformed');
  assert.deepEqual(seen, [`${peer.slice(0, 4)} 7`, 'event 1', 'event 3']);
});

test('events of one message are answered together, and a refused one by itself', async () => {
  const submit = async (event: Uint8Array) => {
    if (event[0] === 2) throw new HubError('refused', 'no', { refusal: 'wrong-phase' });
    return taken(event);
  };
  const connection = openHub(submit).connect();
  const events = [1, 2, 3].map((i) => ({ event: Uint8Array.of(i) }));
  await connection.say({ type: 'hello', protocol: PROTOCOL_VERSION, role: 'observer' });
  const before = connection.heard.length;
  await connection.say({ type: 'events', events });
  const [first, second, third] = events.map(({ event }) => sha256Hex(event));
  const proof = new Uint8Array(32);
  assert.deepEqual(connection.heard.slice(before), [
    { type: 'refused', event: second, code: 'wrong-phase', message: 'no' },
    {
      ...{ type: 'receipts', checkpoint: 'head' },
      of: [
        { event: first, index: 1, proof },
        { event: third, index: 3, proof },
      ],
    },
  ]);
  const enclosed = Uint8Array.of(1);
  assert.equal(await connection.say({ type: 'events', events: [{ event: Uint8Array.of(4), enclosed }] }), 'malformed');
});

test('what validators need not act on at once is told together, and what they must at once', async () => {
  let later: (() => void)[] = [];
  const hub = openHub(taken, (run, ms) => (ms === CONNECTION_LIMITS.news_ms ? later.push(run) : undefined));
  const history = new History();
  history.happen(OWNER, created(), RUN);
  hub.state.runs.set(RUN, history.run);
  const views = async (role: 'worker' | 'validator') => {
    const [connection, identity] = [hub.connect(), createIdentity()];
    const signature = await identity.sign(helloChallenge(HUB, new Uint8Array(32)));
    await connection.say({ type: 'hello', protocol: PROTOCOL_VERSION, role, run: RUN, peer: identity.id, signature });
    return () => connection.heard.filter(({ type }) => type === 'run').length;
  };
  const [worker, validator] = [await views('worker'), await views('validator')];
  for (let i = 0; i < 5; i++) hub.connections.runChanged(history.run, 'validators-soon');
  assert.deepEqual([worker(), validator(), later.length], [1, 1, 1]);
  for (const tell of later) tell();
  assert.deepEqual([worker(), validator()], [1, 2]);
  later = [];
  hub.connections.runChanged(history.run, 'validators-soon');
  assert.equal(later.length, 1, 'and again');
  hub.connections.runChanged(history.run, 'validators');
  hub.connections.runChanged(history.run, 'all');
  assert.deepEqual([worker(), validator()], [2, 4]);
  later = [];
  hub.connections.runChanged(history.run, 'validators-soon');
  hub.connections.runChanged(history.run, 'all-soon');
  hub.connections.runChanged(history.run, 'validators-soon');
  assert.equal(later.length, 1, 'all of it together');
  hub.connections.runChanged(history.run, 'validators');
  assert.deepEqual([worker(), validator()], [2, 5]);
  for (const tell of later) tell();
  assert.deepEqual([worker(), validator()], [3, 5], 'what is left is for the workers');
  hub.connections.runChanged(history.run, 'all-soon');
  hub.connections.runChanged(history.run, 'all');
  assert.deepEqual([worker(), validator(), later.length], [4, 6, 2]);
});

test('who comes is told of a run as it was a moment ago, and never of what the others have heard is over', async () => {
  const hub = openHub(taken);
  const history = new History();
  history.happen(OWNER, created(), RUN);
  hub.state.runs.set(RUN, history.run);
  const phaseToldTo = async (role: 'worker' | 'validator') => {
    const [connection, identity] = [hub.connect(), createIdentity()];
    const signature = await identity.sign(helloChallenge(HUB, new Uint8Array(32)));
    await connection.say({ type: 'hello', protocol: PROTOCOL_VERSION, role, run: RUN, peer: identity.id, signature });
    const told = connection.heard.findLast(({ type }) => type === 'run');
    return told?.type === 'run' ? told.view.phase : null;
  };
  assert.deepEqual([await phaseToldTo('worker'), await phaseToldTo('validator')], ['gathering', 'gathering']);
  history.run.phase = 'working';
  hub.connections.runChanged(history.run, 'all');
  assert.deepEqual([await phaseToldTo('worker'), await phaseToldTo('validator')], ['working', 'working']);
  history.run.phase = 'judging';
  hub.connections.runChanged(history.run, 'validators');
  assert.equal(await phaseToldTo('validator'), 'judging');
  history.run.phase = 'merging';
  hub.move(1000);
  assert.equal(await phaseToldTo('validator'), 'merging', 'a moment is short');
});

test('who is connected to another process of the hub is not gone', () => {
  const waits = (front: string | null): number[] => {
    const waited_ms: number[] = [];
    const setTimeout: Clock['setTimeout'] = (_, delay_ms) => void waited_ms.push(delay_ms);
    const hub = openHub(taken, setTimeout, undefined, { presence: { ...ALONE, frontOf: () => front } });
    hub.connections.joined(RUN, createIdentity().id);
    return waited_ms.filter((delay_ms) => delay_ms === CONNECTION_LIMITS.lost_after_ms);
  };
  assert.deepEqual([waits(null).length, waits('another').length], [1, 0]);
});
