// Connections that do not behave: whoever holds them is told and, where needed, cut off; everybody else is served.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import WebSocket from 'ws';
import { encodeMessage } from '../src/protocol/encode-message.ts';
import { signEvent } from '../src/protocol/envelope.ts';
import type { FromPeer } from '../src/protocol/from-peer.ts';
import { helloChallenge, otherVersion, PROTOCOL_VERSION, WIRE_LIMITS } from '../src/protocol/messages.ts';
import { hubUnderTest } from './raw-hub.ts';

const net = hubUnderTest();

describe('connections', () => {
  test('that send garbage, text, or anything before hello are told and closed', () =>
    net.unharmed(async () => {
      const cases: [FromPeer | Uint8Array | string, RegExp][] = [
        [Uint8Array.of(0xff, 0x00, 0x12), /^malformed: message: expected definite lengths|plain data/],
        [new Uint8Array(0), /^malformed: message: expected/],
        ['{"type":"hello"}', /^malformed: message: expected a binary frame, got a text frame/],
        [{ type: 'event', event: new Uint8Array(200) }, /^malformed: expected hello first/],
        [
          {
            type: 'progress',
            state: 'working',
            round: 0,
            amount: 0,
            amount_per_second: 0,
            numbers: { steps: 0, loss_micro: 0 },
          },
          /^malformed: expected hello first/,
        ],
      ];
      for (const [message, expected] of cases) {
        const raw = net.connect();
        await raw.challenge();
        raw.send(message);
        const { code, message: said } = await raw.refusal();
        assert.match(`${code}: ${said}`, expected);
        assert.equal((await raw.closed).code, 1008);
      }
    }));

  test('that send garbage after hello are told, and stay', () =>
    net.unharmed(async () => {
      const raw = await net.hello(net.ada, net.working);
      for (const message of [Uint8Array.of(0x9b, 0, 0, 0, 1, 0, 0, 0, 0), 'text', new Uint8Array(60_000).fill(0x81)]) {
        raw.send(message);
        assert.equal((await raw.refusal()).code, 'malformed');
      }
      assert.equal(raw.socket.readyState, WebSocket.OPEN);
      raw.socket.close();
    }));

  test('that speak another protocol version', () =>
    net.unharmed(async () => {
      const raw = net.connect();
      await raw.challenge();
      raw.send({ type: 'hello', protocol: PROTOCOL_VERSION + 1, role: 'observer' });
      const { code, message } = await raw.refusal();
      const [hub, peer] = [PROTOCOL_VERSION, PROTOCOL_VERSION + 1];
      assert.deepEqual([code, message], ['unknown-version', otherVersion({ hub, peer })]);
      assert.ok(message.startsWith(`the hub speaks protocol ${hub}, the peer speaks ${peer}: the hub is older`));
      await raw.closed;
    }));

  test('that sign hello wrongly, leave things out, or name an unknown run', () =>
    net.unharmed(async () => {
      const base = { type: 'hello', protocol: PROTOCOL_VERSION, role: 'worker' } as const;
      const cases: [(nonce: Uint8Array) => Promise<FromPeer>, string, RegExp][] = [
        [
          async () => ({ ...base, run: net.working, peer: net.ada.id, signature: new Uint8Array(64) }),
          'bad-signature',
          /nonce/,
        ],
        [
          async (nonce) => ({
            ...base,
            run: net.working,
            peer: net.vera.id,
            signature: await net.ada.sign(helloChallenge(net.hub.id, nonce)),
          }),
          'bad-signature',
          /nonce/,
        ],
        [
          async (nonce) => ({
            ...base,
            run: net.working,
            peer: net.ada.id,
            signature: await net.ada.sign(helloChallenge('c'.repeat(64), nonce)),
          }),
          'bad-signature',
          /nonce/,
        ],
        [async () => ({ ...base, run: net.working }), 'malformed', /expected peer, signature and run/],
        [
          async (nonce) => ({
            ...base,
            run: 'd'.repeat(64),
            peer: net.ada.id,
            signature: await net.ada.sign(helloChallenge(net.hub.id, nonce)),
          }),
          'unknown-run',
          /no run d{64}/,
        ],
      ];
      for (const [make, code, message] of cases) {
        const raw = net.connect();
        raw.send(await make((await raw.challenge()).nonce));
        const refusal = await raw.refusal();
        assert.equal(refusal.code, code);
        assert.match(refusal.message, message);
        await raw.closed;
      }
    }));

  test('that say hello twice are told, and stay who they are', () =>
    net.unharmed(async () => {
      const raw = await net.hello(net.ada, net.working);
      raw.send({ type: 'hello', protocol: PROTOCOL_VERSION, role: 'observer' });
      assert.match((await raw.refusal()).message, /says hello once/);
      assert.equal(
        raw.messages.some((message) => message.type === 'status'),
        false,
      );
      raw.socket.close();
    }));

  test('that send a message over the limit are told how much it may be', () =>
    net.unharmed(async () => {
      const raw = await net.hello(net.ada, net.working);
      raw.send(new Uint8Array(WIRE_LIMITS.from_peer_bytes + 1));
      const { code, message } = await raw.refusal();
      assert.equal(`${code}: ${message}`, `too-large: message: at most ${WIRE_LIMITS.from_peer_bytes} bytes, got more`);
      assert.equal((await raw.closed).code, 1009);
    }));

  test('that send compressed frames or bytes that are no frames', () =>
    net.unharmed(async () => {
      const raw = await net.hello(net.ada, net.working);
      const { _socket: socket } = raw.socket as unknown as { _socket: Socket };
      socket.write(Buffer.from([0xc2, 0x85, 1, 2, 3, 4, 9, 9, 9, 9, 9])); // RSV1: permessage-deflate, never agreed
      assert.match((await raw.refusal()).message, /expected WebSocket frames/);
      assert.equal((await raw.closed).code, 1002);
    }));

  test('that never say hello are told and closed', () =>
    net.unharmed(async () => {
      const raw = net.connect();
      const { code, message } = await raw.refusal();
      assert.equal(`${code}: ${message}`, 'no-hello: expected hello within 150 ms, got none');
      assert.deepEqual(await raw.closed, { code: 1008, reason: 'no-hello' });
    }));

  test('of two devices with one key: the older one is told, and one that gives way pushes nobody out', () =>
    net.unharmed(async () => {
      const older = await net.hello(net.ada, net.working);
      const newer = await net.hello(net.ada, net.working);
      assert.match((await older.refusal('key-in-use')).message, /another device has come with the key/);
      assert.equal((await older.closed).code, 1008);
      const back = await net.saysHello(net.ada, net.working, { yields: true });
      await back.refusal('key-in-use');
      assert.equal((await back.closed).code, 1008);
      assert.equal(newer.socket.readyState, WebSocket.OPEN);
      newer.socket.close();
      await newer.closed;
      const alone = await net.saysHello(net.ada, net.working, { yields: true });
      await alone.next((message) => message.type === 'welcome');
      alone.socket.terminate();
    }));

  test('that do not wait for answers', () =>
    net.unharmed(async () => {
      const raw = await net.hello(net.ada, net.working);
      const { _socket: socket } = raw.socket as unknown as { _socket: Socket };
      socket.cork(); // all of them in one go
      for (let i = 0; i < 2000; i++) raw.send(Uint8Array.of(0));
      socket.uncork();
      // Read one at a time, whatever else there is in between: it ends at the twentieth that is not understood, and the rest is not read.
      await raw.refusal('not-understood');
      assert.equal((await raw.closed).code, 1008);
      assert.ok(raw.messages.length < 30, `${raw.messages.length} answers`);
    }));

  test('that never read are cut off', () =>
    net.unharmed(async () => {
      const raw = await net.hello(net.ada, net.working);
      raw.socket.pause();
      // A refusal of two kilobytes for every message, until neither the peer's nor the hub's system takes more.
      const event = await signEvent(net.ada, { type: 'tick', version: 1, time_ms: 0, ['x'.repeat(3000)]: 1 });
      const frame = encodeMessage({ type: 'event', event });
      while (raw.socket.readyState === WebSocket.OPEN) {
        for (let i = 0; i < 10; i++) raw.socket.send(frame);
        await new Promise<void>((resolve) => raw.socket.send(frame, () => resolve()));
      }
      const others = async (): Promise<number> => (await (await fetch(`${net.hub.url}/health`)).json()).connections;
      while ((await others()) > 0) await new Promise((resolve) => setTimeout(resolve, 20));
      raw.socket.terminate();
    }));

  test('that ask for other places than /ws, or go away in the middle of asking', () =>
    net.unharmed(async () => {
      const { port } = new URL(net.hub.url);
      const upgrade = async (path: string, rude = false): Promise<string> => {
        const socket = connect(Number(port), '127.0.0.1');
        await once(socket, 'connect');
        socket.on('error', () => {});
        socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n`);
        socket.write('sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n');
        if (rude) {
          socket.resetAndDestroy();
          return '';
        }
        const [data] = await once(socket, 'data');
        socket.destroy();
        return data.toString().split('\r\n')[0];
      };
      assert.equal(await upgrade('/elsewhere'), 'HTTP/1.1 404 Not Found');
      assert.equal(await upgrade('//'), 'HTTP/1.1 404 Not Found');
      assert.equal(await upgrade('http://[/ws'), 'HTTP/1.1 404 Not Found');
      await upgrade('/elsewhere', true);
      await upgrade('/ws', true);
      assert.equal(await upgrade('/ws'), 'HTTP/1.1 101 Switching Protocols');
    }));
});

test('a hub goes down though a peer does not listen', async () => {
  const raw = net.connect();
  await raw.challenge();
  raw.socket.pause();
  await net.hub.close();
  await net.open();
  raw.socket.terminate();
});
