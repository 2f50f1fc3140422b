// Who is here and who is gone in a hub of several processes: leaves are written by the one that leads, of those who are at none of them.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { EventBody } from '../core/events.ts';
import { created, History, joined, OWNER, RUN } from '../core/testing/example-history.ts';
import type { Channel, ChannelListener } from '../protocol/channel.ts';
import { encodeMessage } from '../protocol/encode-message.ts';
import { decodeFromHub, type FromHub } from '../protocol/from-hub.ts';
import { createIdentity, type Identity } from '../protocol/identity.ts';
import { helloChallenge, PROTOCOL_VERSION } from '../protocol/messages.ts';
import { type HandClock, handClock } from '../protocol/testing/hand-clock.ts';
import type { PresenceListener } from './cluster/others.ts';
import { ALONE } from './cluster/presence.ts';
import { NO_TALK } from './cluster/talk.ts';
import { CONNECTION_LIMITS } from './connection.ts';
import { type Connections, type HubServices, openConnections } from './connections.ts';
import { openFeed } from './feed.ts';
import { openHistories } from './history.ts';
import { openRateLimits } from './rate-limits.ts';
import { NO_RELAY_COUNTS } from './relay.ts';
import { openSamples } from './samples.ts';
import { openKept } from './statuses.ts';

const { lost_after_ms } = CONNECTION_LIMITS;
const [ALICE, BOB] = [createIdentity(), createIdentity()];

let clock: HandClock;
let history: History;
let connections: Connections;
let elsewhere: PresenceListener;
let fronts: Map<string, string>;
let told: string[];
let written: EventBody[];
let leads: boolean;

beforeEach(() => {
  clock = handClock();
  history = new History();
  history.happen(OWNER, created(), RUN);
  for (const { id } of [ALICE, BOB]) history.happen(id, joined());
  [fronts, told, written, leads] = [new Map(), [], [], true];
  const { state } = history;
  const samples = openSamples(() => state);
  const statuses = openKept(() => [], clock);
  const services: Omit<HubServices, 'servingAround'> & Partial<HubServices> = {
    ...{ id: state.hub, state, clock, time: { until_ms: () => 0 }, telemetry: new Map(), samples, statuses },
    feed: openFeed({ statuses, histories: openHistories(), samples, now_ms: clock.now_ms, events: () => 0 }),
    randomBytes: (length) => new Uint8Array(length),
    submit: () => Promise.reject(new Error('nothing is submitted')),
    take: () => Promise.reject(new Error('nothing is submitted')),
    prove: () => Promise.reject(new Error('nothing is submitted')),
    takeEnclosed: () => Promise.reject(new Error('nothing is enclosed')),
    async write(body) {
      written.push(body);
      history.happen(state.hub, body);
    },
    ...{ rates: openRateLimits(clock), pool: { hear() {}, gone() {} }, relayCounts: NO_RELAY_COUNTS },
    ...{ talk: NO_TALK, relayAround: null, leads: () => leads, onRefused() {} },
    presence: {
      ...ALONE,
      here: (_, peer) => void told.push(`+${nameOf(peer)}`),
      gone: (_, peer) => void told.push(`-${nameOf(peer)}`),
      frontOf: (_, peer) => fronts.get(peer) ?? null,
      listen: (listener) => {
        elsewhere = listener;
      },
    },
    onError: (error) => assert.fail(String(error)),
  };
  connections = openConnections({ servingAround: null, ...services } as HubServices);
});

const nameOf = (peer: string): string => (peer === ALICE.id ? 'alice' : 'bob');
const left = (): string[] => written.map((body) => (body.type === 'peer.left' ? nameOf(body.peer) : body.type));

/** A device connects here. */
async function connect(identity: Identity) {
  const heard: FromHub[] = [];
  let listener!: ChannelListener;
  const channel: Channel = {
    ...{ open: true, closed: false, queued_bytes: 0, ping() {} },
    listen: (given) => {
      listener = given;
    },
    send: (frame) => void heard.push(decodeFromHub(frame)),
    close() {
      Object.assign(channel, { open: false });
    },
    terminate: () => {},
  };
  connections.accept(channel, null);
  const signature = await identity.sign(helloChallenge(history.state.hub, new Uint8Array(32)));
  const said = { protocol: PROTOCOL_VERSION, role: 'worker', run: RUN, peer: identity.id, signature } as const;
  listener.onMessage(encodeMessage({ type: 'hello', ...said }));
  await new Promise(setImmediate);
  return { heard, channel, gone: () => listener.onClose('') };
}
/** Another process says that a device is there, or is not any more. */
const there = ({ id }: Identity): void => {
  fronts.set(id, 'another');
  elsewhere.onHere(RUN, id);
};
const goneThere = ({ id }: Identity): void => {
  fronts.delete(id);
  elsewhere.onGone(RUN, id);
};

test('who leads writes the leave of a device that is gone here or there and comes back nowhere; who follows writes none', async () => {
  for (const is_leader of [false, true]) {
    leads = is_leader;
    const alice = await connect(ALICE);
    there(BOB);
    alice.gone();
    goneThere(BOB);
    await clock.pass(lost_after_ms + 1);
    assert.deepEqual(left().sort(), is_leader ? ['alice', 'bob'] : []);
  }
  assert.deepEqual(told, ['+alice', '-alice', '+alice', '-alice']);
});

test('a device that moves from here to another process, or from there to here, has not left', async () => {
  const alice = await connect(ALICE);
  there(BOB);
  alice.gone();
  goneThere(BOB);
  await clock.pass(lost_after_ms - 1);
  there(ALICE);
  await connect(BOB);
  await clock.pass(10 * lost_after_ms);
  assert.deepEqual(written, []);
});

test('a device that comes to another process while it is connected here is sent away here, and is not told of as gone there', async () => {
  const alice = await connect(ALICE);
  assert.equal(alice.channel.open, true);
  there(ALICE);
  assert.equal(alice.channel.open, false);
  const last = alice.heard.at(-1)!;
  assert.equal(last.type === 'refused' && last.code, 'key-in-use');
  alice.gone();
  await clock.pass(10 * lost_after_ms);
  assert.deepEqual(written, []);
});

for (const [where, comes] of [['here', connect] as const, ['to other processes', there] as const]) {
  test(`who begins to lead waits for all, also while they come ${where}, and writes off who is nowhere`, async () => {
    connections.forgetAbsent();
    await clock.pass(lost_after_ms - 1500);
    await comes(ALICE);
    await clock.pass(lost_after_ms - 1000);
    assert.deepEqual(written, [], 'others still come back');
    await clock.pass(2 * lost_after_ms);
    assert.deepEqual(left(), ['bob']);
  });
}

test('who is taken again after a pause writes off who does not come back only where it leads', async () => {
  for (const is_leader of [false, true]) {
    leads = is_leader;
    connections.suspend('no room');
    await clock.pass(1000);
    connections.resume();
    await clock.pass(10 * lost_after_ms);
    assert.deepEqual(left().sort(), is_leader ? ['alice', 'bob'] : []);
  }
});
