// The relay: passes frames on to who is here and takes them, tells the sender what is lost, and holds nothing for anybody.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { FromHub } from '../protocol/from-hub.ts';
import { RELAY_LIMITS } from '../protocol/relay-messages.ts';
import { openRelay, type Relay, type RelayConnection } from './relay.ts';

const RUN = 'a'.repeat(64);
const key = (digit: string): string => digit.repeat(64);
const [ALICE, BOB, CAROL] = ['1', '2', '3'].map(key);
const SEALED = new Uint8Array([1, 2, 3]);

interface Device extends RelayConnection {
  readonly channel: { open: boolean; queued_bytes: number };
  readonly heard: FromHub[];
}

let connections: Device[];
let absent: Set<string>;
let relay: Relay;
let lost: string[];
let passed_bytes: number;
let numbers = 0;

function device(peer: string | null, run: string | null = RUN): Device {
  const heard: FromHub[] = [];
  const connection: Device = {
    ...{ number: String(numbers++), peer, run, channel: { open: true, queued_bytes: 0 }, heard },
    tell: (message) => void heard.push(message),
  };
  connections.push(connection);
  return connection;
}
const send = (from: Device, to: string, number: number): void =>
  relay.hear(from, { type: 'relay', to, number, sealed: SEALED });
const take = (by: Device, from: string, number: number): void =>
  relay.hear(by, { type: 'relay-taken', from, number, opened: true });
const malformed = (act: () => void, words: RegExp): void =>
  assert.throws(act, (error: Error & { code?: string }) => error.code === 'malformed' && words.test(error.message));

beforeEach(() => {
  connections = [];
  absent = new Set();
  lost = [];
  passed_bytes = 0;
  relay = openRelay({
    withKey: (run, peer) => connections.filter((one) => one.run === run && one.peer === peer),
    takesPart: (_, peer) => !absent.has(peer),
    isKnown: (_, peer) => peer !== CAROL,
    counts: {
      passed: (bytes) => {
        passed_bytes += bytes;
      },
      lost: (code) => void lost.push(code),
    },
  });
});

describe('the relay', () => {
  test('passes a frame on as it is, and the word that it was taken back', () => {
    const [alice, bob] = [device(ALICE), device(BOB)];
    send(alice, BOB, 7);
    assert.deepEqual(bob.heard, [{ type: 'relay', from: ALICE, number: 7, sealed: SEALED }]);
    take(bob, ALICE, 7);
    assert.deepEqual(alice.heard, [{ type: 'relay-taken', by: BOB, number: 7, opened: true }]);
    assert.equal(passed_bytes, 3);
  });

  test('lets so many frames wait for one device, and no more', () => {
    const [alice, bob] = [device(ALICE), device(BOB)];
    for (let n = 1; n <= RELAY_LIMITS.window_frames; n++) send(alice, BOB, n);
    const next = RELAY_LIMITS.window_frames + 1;
    malformed(() => send(alice, BOB, next), /has not taken/);
    take(bob, ALICE, 2);
    send(alice, BOB, next);
    send(alice, BOB, next + 1);
    malformed(() => send(alice, BOB, next + 2), /has not taken/);
    assert.equal(bob.heard.length, next + 1);
  });

  test('wants frames in order', () => {
    const alice = device(ALICE);
    device(BOB);
    send(alice, BOB, 1);
    malformed(() => send(alice, BOB, 1), /expected frame 2, got 1/);
    malformed(() => send(alice, BOB, 3), /expected frame 2, got 3/);
  });

  test('tells the sender that a device is not here, or of another run', () => {
    const alice = device(ALICE);
    device(BOB, 'b'.repeat(64));
    const carol = device(CAROL);
    carol.channel.open = false;
    for (const to of [BOB, CAROL]) send(alice, to, 1);
    assert.deepEqual(
      alice.heard,
      [BOB, CAROL].map((to) => ({ type: 'relay-lost', to, code: 'not-here' })),
    );
  });

  test('passes nothing to, or from, who does not take part by the log', () => {
    const [alice, bob] = [device(ALICE), device(BOB)];
    absent.add(BOB);
    send(alice, BOB, 1);
    send(bob, ALICE, 1);
    assert.deepEqual(bob.heard, [{ type: 'relay-lost', to: ALICE, code: 'not-in-run' }], 'it was here before');
    const carol = device(CAROL);
    absent.add(CAROL);
    malformed(() => send(carol, ALICE, 1), /takes part/);
    assert.deepEqual([alice.heard.length, lost], [1, ['not-here', 'not-in-run']]);
  });

  test('fills no memory for a device that does not read', () => {
    const [alice, bob] = [device(ALICE), device(BOB)];
    bob.channel.queued_bytes = RELAY_LIMITS.queued_bytes;
    send(alice, BOB, 1);
    assert.deepEqual([alice.heard, bob.heard], [[{ type: 'relay-lost', to: BOB, code: 'busy' }], []]);
    bob.channel.queued_bytes = RELAY_LIMITS.queued_bytes - SEALED.length;
    send(alice, BOB, 2);
    assert.equal(bob.heard.length, 1);
  });

  test('tells senders when a device is gone; the next connection of its key begins anew', () => {
    const [alice, bob] = [device(ALICE), device(BOB)];
    send(alice, BOB, 1);
    connections.splice(connections.indexOf(bob), 1);
    relay.gone(bob);
    assert.deepEqual(alice.heard, [{ type: 'relay-lost', to: BOB, code: 'gone' }]);
    const again = device(BOB);
    send(alice, BOB, 2);
    assert.equal(again.heard.length, 1);
    take(bob, ALICE, 2);
    assert.equal(alice.heard.length, 1, 'the word of a connection that has ended counts no more');
  });

  test('forgets what a device has sent when it is gone', () => {
    const [alice, bob] = [device(ALICE), device(BOB)];
    send(alice, BOB, 1);
    relay.gone(alice);
    take(bob, ALICE, 1);
    assert.deepEqual(alice.heard, []);
  });

  test('knows connections of one key apart: the older one ends, whatever has become of the newer one', () => {
    const [older, bob] = [device(ALICE), device(BOB)];
    send(older, BOB, 1);
    const newer = device(ALICE);
    send(newer, BOB, 5);
    take(bob, ALICE, 1);
    take(bob, ALICE, 5);
    assert.deepEqual([older.heard.length, newer.heard.length], [0, 1]);
    relay.gone(newer);
    relay.gone(older);
    relay.gone(bob);
  });

  test('says of what a device had not taken when it came on a new connection that it is lost, and passes on what follows', () => {
    const [alice, older] = [device(ALICE), device(BOB)];
    send(alice, BOB, 1);
    take(older, ALICE, 1);
    send(alice, BOB, 2);
    older.channel.open = false;
    const newer = device(BOB);
    send(alice, BOB, 3);
    assert.deepEqual(alice.heard.slice(1), [{ type: 'relay-lost', to: BOB, code: 'gone' }]);
    assert.equal(newer.heard.length, 1);
    take(newer, ALICE, 3);
    newer.channel.open = false;
    device(BOB);
    send(alice, BOB, 4);
    assert.deepEqual(lost, ['gone'], 'where all was taken nothing is lost');
  });

  test('hears no word about frames that were not sent, or were taken before', () => {
    const [alice, bob, carol] = [device(ALICE), device(BOB), device(CAROL)];
    send(alice, BOB, 1);
    take(bob, ALICE, 2);
    take(bob, CAROL, 1);
    take(carol, ALICE, 1);
    assert.deepEqual(alice.heard, []);
    take(bob, ALICE, 1);
    take(bob, ALICE, 1);
    assert.equal(alice.heard.length, 1);
  });

  test('has a bound on partners; those that have taken everything make room', () => {
    const alice = device(ALICE);
    const others = Array.from({ length: RELAY_LIMITS.partners + 1 }, (_, i) =>
      device((i + 16).toString(16).padStart(64, '0')),
    );
    for (const { peer } of others) send(alice, peer!, 1);
    assert.deepEqual(lost, ['too-many-partners']);
    take(others[0], ALICE, 1);
    send(alice, others.at(-1)!.peer!, 2);
    assert.equal(others.at(-1)!.heard.length, 1);
    send(alice, others[0].peer!, 2);
    assert.deepEqual(lost, ['too-many-partners', 'too-many-partners'], 'the one that made room has to wait for room');
  });

  test('is for keys, and not for oneself', () => {
    const alice = device(ALICE);
    malformed(() => send(alice, ALICE, 1), /another device/);
    malformed(() => send(device(null, null), ALICE, 1), /of a key/);
    malformed(() => take(device(null, null), ALICE, 1), /of a key/);
  });
});
