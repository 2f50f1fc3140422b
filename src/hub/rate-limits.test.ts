// Who asks too fast is told so and when to come back, over HTTP and WebSockets; an honest burst passes, and nobody can use up another's rate.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { bytesToHex } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { WebSocket } from 'ws';
import { type Clock, systemClock } from '../protocol/clock.ts';
import { encodeMessage } from '../protocol/encode-message.ts';
import { signEvent } from '../protocol/envelope.ts';
import { decodeFromHub } from '../protocol/from-hub.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { createIdentity, type Identity } from '../protocol/identity.ts';
import { PROTOCOL_VERSION, uploadChallenge } from '../protocol/messages.ts';
import { HubError } from './errors.ts';
import { type Hub, openHub } from './hub.ts';
import { openRateLimits, RATES } from './rate-limits.ts';

/** A clock that stands still unless it is moved. */
function standingClock(): Clock & { move(by_ms: number): void } {
  let now_ms = 5000;
  const move = (by_ms: number): void => {
    now_ms += by_ms;
  };
  return { ...systemClock, elapsed_ms: () => now_ms, move };
}

/** null: passed; else after how many seconds it may be tried again. */
function outcome(take: () => void): number | null {
  try {
    take();
    return null;
  } catch (error) {
    assert.ok(error instanceof HubError && error.code === 'too-fast');
    return error.details.retry_after_s as number;
  }
}

describe('a bucket', () => {
  test('lets exactly the burst through at once, and then one for every token that came back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 100 }), (burst, per_second) => {
        const clock = standingClock();
        const rates = openRateLimits(clock, { event_key: { burst, per_second } });
        const take = () => outcome(() => rates.take('event_key', 'a'));
        for (let i = 0; i < burst; i++) assert.equal(take(), null);
        assert.equal(take(), 1);
        clock.move(1000 / per_second);
        assert.equal(take(), null);
        assert.equal(take(), 1);
        clock.move(take()! * 1000); // what it is told to wait is enough
        assert.equal(take(), null);
        clock.move(1_000_000); // however long it waits, no more than the burst is saved up
        for (let i = 0; i < burst; i++) assert.equal(take(), null);
        assert.equal(take(), 1);
      }),
    );
  });

  test('belongs to one key of one limit', () => {
    const rates = openRateLimits(standingClock(), { event_key: { burst: 1, per_second: 1 } });
    rates.take('event_key', 'a');
    assert.throws(() => rates.take('event_key', 'a'), { code: 'too-fast' });
    rates.take('event_key', 'b');
    rates.take('upload_key', 'a');
    for (let i = 0; i < 10; i++) rates.take('event_key', null);
  });

  test('is forgotten only for one used later: strangers in any number take bounded memory', () => {
    const rates = openRateLimits(standingClock(), { event_key: { burst: 1, per_second: 1 } }, 3);
    for (const key of ['a', 'b', 'c']) rates.take('event_key', key);
    for (const key of ['a', 'b', 'c']) assert.throws(() => rates.take('event_key', key), { code: 'too-fast' });
    rates.take('event_key', 'd');
    rates.take('event_key', 'a'); // forgotten
    for (const key of ['c', 'd']) assert.throws(() => rates.take('event_key', key), { code: 'too-fast' });
  });
});

test('an honest burst passes: 1,000 devices behind one address that come back, hand in and upload at once', () => {
  const rates = openRateLimits(standingClock());
  for (let device = 0; device < 1000; device++) {
    rates.take('connection_address', '192.0.2.1');
    rates.take('connection_key', `${device}`);
    for (let i = 0; i < 4; i++) {
      rates.take('event_address', '192.0.2.1');
      rates.take('event_key', `${device}`);
      rates.take('upload_address', '192.0.2.1');
      rates.take('upload_key', `${device}`);
    }
  }
  // A validator that seals and shows a verdict on the work of each of them.
  for (let i = 0; i < 2000; i++) rates.take('event_key', 'validator');
});

describe('a hub', () => {
  const root = mkdtempSync(join(tmpdir(), 'potluck-rates-'));
  let hub: Hub;
  let identity: Identity;
  const slow = { burst: 2, per_second: 0.001 };
  before(async () => {
    const rates = {
      event_address: slow,
      event_key: slow,
      upload_address: { ...slow, burst: 4 },
      upload_key: slow,
      connection_address: slow,
      cosignature_address: slow,
      read_address: slow,
      status_address: slow,
    };
    hub = await openHub({ folder: join(root, 'hub'), host: '127.0.0.1', port: 0, rates });
    identity = await createIdentity();
  });
  after(async () => {
    await hub.close();
    rmSync(root, { recursive: true, force: true });
  });

  const from = (address: string) => ({ 'x-forwarded-for': address });
  const assertTooFast = async (response: Response, limit: string) => {
    assert.equal(response.status, 429);
    assert.ok(Number(response.headers.get('retry-after')) >= 1);
    const { error } = (await response.json()) as { error: { code: string; details: { limit: string } } };
    assert.equal(error.code, 'too-fast');
    assert.equal(error.details.limit, limit);
  };
  const post = (event: Uint8Array, address: string) =>
    fetch(`${hub.url}/events`, { method: 'POST', body: event as Uint8Array<ArrayBuffer>, headers: from(address) });

  test('events by address, whatever they are', async () => {
    const event = new Uint8Array([1]);
    for (let i = 0; i < 2; i++) assert.equal((await post(event, '192.0.2.1')).status, 400);
    await assertTooFast(await post(event, '192.0.2.1'), 'event_address');
    assert.equal((await post(event, '192.0.2.2')).status, 400, 'another address is not slowed');
  });

  test('events by the key that signed them: a signature that is wrong costs its owner nothing', async () => {
    const event = await signEvent(identity, { type: 'tick', version: 1, time_ms: 1 });
    const forged = event.slice();
    forged[forged.length - 1] ^= 1;
    for (let i = 0; i < 4; i++) assert.equal((await post(forged, `198.51.100.${i}`)).status, 400);
    for (let i = 0; i < 2; i++) assert.equal((await post(event, `203.0.113.${i}`)).status, 400);
    await assertTooFast(await post(event, '203.0.113.9'), 'event_key');
  });

  test('cosignatures by address, whatever they are', async () => {
    const cosign = (address: string) =>
      fetch(`${hub.url}/log/cosignature`, { method: 'POST', body: 'nonsense', headers: from(address) });
    for (let i = 0; i < 2; i++) assert.equal((await cosign('192.0.2.1')).status, 400);
    await assertTooFast(await cosign('192.0.2.1'), 'cosignature_address');
    assert.equal((await cosign('192.0.2.2')).status, 400);
    const read = await fetch(`${hub.url}/log/checkpoint`, { headers: from('192.0.2.1') });
    assert.equal(read.status, 200, 'reading the log is not limited');
  });

  test('uploads by address and by key', async () => {
    const bytes = new Uint8Array([9]);
    const hash = sha256Hex(bytes);
    const put = async (who: Identity, address: string) => {
      const signature = bytesToHex(await who.sign(uploadChallenge(hub.id, hash)));
      const headers = { ...from(address), 'x-potluck-peer': who.id, 'x-potluck-signature': signature };
      return fetch(`${hub.url}/blobs/${hash}`, { method: 'PUT', body: bytes, headers });
    };
    for (let i = 0; i < 2; i++) assert.equal((await put(identity, '192.0.2.1')).status, 201);
    await assertTooFast(await put(identity, '192.0.2.1'), 'upload_key');
    const neighbour = await createIdentity();
    assert.equal((await put(neighbour, '192.0.2.1')).status, 201);
    await assertTooFast(await put(neighbour, '192.0.2.1'), 'upload_address');
    assert.equal((await fetch(`${hub.url}/blobs/${hash}`, { headers: from('192.0.2.1') })).status, 200);
  });

  test('connections by address, and what comes over them', async () => {
    const open = (address: string) => new WebSocket(`${hub.url.replace('http', 'ws')}/ws`, { headers: from(address) });
    const codes: string[] = [];
    const socket = open('192.0.2.50');
    await new Promise<void>((resolve) => {
      socket.on('message', (data: Buffer) => {
        const message = decodeFromHub(new Uint8Array(data));
        if (message.type === 'challenge') {
          socket.send(encodeMessage({ type: 'hello', protocol: PROTOCOL_VERSION, role: 'observer' }));
        }
        if (message.type === 'welcome') {
          for (let i = 0; i < 3; i++) socket.send(encodeMessage({ type: 'event', event: new Uint8Array([i]) }));
        }
        if (message.type === 'refused') codes.push(message.code);
        if (codes.length === 3) resolve();
      });
    });
    assert.deepEqual(codes, ['malformed', 'malformed', 'too-fast']);
    assert.equal(socket.readyState, WebSocket.OPEN, 'who is too fast is told, not thrown out');

    const second = open('192.0.2.50');
    await new Promise((resolve) => second.on('open', resolve));
    const third = open('192.0.2.50');
    const answer = await new Promise<IncomingMessage>((resolve) => {
      third.on('unexpected-response', (_request, response) => resolve(response));
    });
    assert.equal(answer.statusCode, 429);
    assert.ok(Number(answer.headers['retry-after']) >= 1);
    third.on('error', () => {});
    for (const one of [socket, second, third]) one.terminate();
    const metrics = await (await fetch(`${hub.url}/metrics`)).text();
    assert.match(metrics, /potluck_refusals_total\{code="too-fast"\} [5-9]/);
  });

  test('reads by address, the state apart from the log and the runs', async () => {
    const get = (path: string, address: string) => fetch(hub.url + path, { headers: from(address) });
    for (let i = 0; i < 2; i++) assert.equal((await get('/log/key', '192.0.2.60')).status, 200);
    for (const path of [
      '/log/key',
      '/log/tile/0/000',
      `/runs/${'0'.repeat(64)}`,
      `/accounts/${'0'.repeat(64)}`,
      '/',
      '/nowhere',
    ]) {
      await assertTooFast(await get(path, '192.0.2.60'), 'read_address');
    }
    for (let i = 0; i < 2; i++) assert.equal((await get('/status', '192.0.2.60')).status, 200);
    await assertTooFast(await get('/status', '192.0.2.60'), 'status_address');
    // Whoever watches over the hub, and everybody else, is answered.
    for (const path of ['/health', '/ready']) assert.equal((await get(path, '192.0.2.60')).status, 200);
    assert.equal((await get('/log/key', '192.0.2.61')).status, 200);
  });

  test('this machine itself is not limited by address', async () => {
    for (let i = 0; i < RATES.connection_key.burst; i++) {
      const response = await fetch(`${hub.url}/events`, { method: 'POST', body: new Uint8Array([1]) });
      assert.equal(response.status, 400);
      await response.arrayBuffer();
    }
  });
});
