// A hub that lies to a tab, in what it serves and on the socket: the tab says what is wrong, signs nothing it did not do, and stops when asked.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import type { Page } from 'playwright-core';
import { type WebSocket, WebSocketServer } from 'ws';
import { servePage, serveViews } from '../src/hub/page.ts';
import { openTransfers, TRANSFER_LIMITS } from '../src/hub/transfers.ts';
import { LlamaConfigSchema } from '../src/model/config.ts';
import { initialWeights } from '../src/model/init.ts';
import { modelBlobs } from '../src/model/testing/model-blobs.ts';
import { systemClock } from '../src/protocol/clock.ts';
import { encodeMessage } from '../src/protocol/encode-message.ts';
import { openEvent } from '../src/protocol/envelope.ts';
import type { FromHub } from '../src/protocol/from-hub.ts';
import { decodeFromPeer } from '../src/protocol/from-peer.ts';
import { sha256Hex } from '../src/protocol/hash.ts';
import { PROTOCOL_VERSION, type RunStatus, type RunView, WIRE_LIMITS } from '../src/protocol/messages.ts';
import { exampleStatus, exampleView } from '../src/protocol/testing/example-views.ts';
import { type TabNetwork, TabUnderTest } from './tab-browser.ts';

const HUB = 'b'.repeat(64);
const RUN = 'f'.repeat(64);
/** The only things that a tab which could not work may have signed. */
const HARMLESS = ['device.bound', 'peer.joined', 'peer.left'];

const config = LlamaConfigSchema.parse({
  vocab_size: 8,
  hidden_size: 8,
  intermediate_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 1,
});
const model = await modelBlobs(config, initialWeights(config, 'test'));
const settings = (change: object = {}): Uint8Array =>
  new TextEncoder().encode(
    JSON.stringify({
      model: config,
      dataset: '0'.repeat(64),
      batch: 1,
      context: 2,
      inner_steps: 1,
      learning_rate: 0.1,
      min_learning_rate: 0.1,
      warmup_steps: 0,
      ...change,
    }),
  );

function viewOf(params: Uint8Array): RunView {
  const hash = model.id;
  const checkpoint = { merged_rounds: 0, model: hash, rest: null };
  const times = { remaining_ms: 60_000, judging_ms: 60_000 };
  return exampleView({
    ...{ run: RUN, name: 'a trap', params: sha256Hex(params), seed: RUN, model: hash, checkpoint },
    ...times,
  });
}

function statusOf({ recent: _, submissions: __, checkpoint: ___, ...shared }: RunView): RunStatus {
  return exampleStatus({ ...shared, owner: RUN, round_ms: 60_000 });
}

const say = (socket: WebSocket, message: FromHub): void => socket.send(encodeMessage(message));
const challenge: FromHub = { type: 'challenge', protocol: PROTOCOL_VERSION, hub: HUB, nonce: new Uint8Array(32) };

/** Registers the tests. The tab's page is the honest one: what it can be given is not. */
export function hostileHubTests(tabs: TabNetwork): void {
  describe('that a hub lies to', () => {
    let server: Server;
    let url: string;
    let view: RunView;
    /** Answers by hash; a number is the length that is announced and never sent. */
    let blobs: Map<string, Uint8Array | number>;
    let greet: (socket: WebSocket, connection: number) => void;
    let connections: number;
    /** What every event is answered with; null: nothing at all. */
    let receipt: unknown;
    let signed: string[];
    let uploads: number;
    /** One for all lies: whatever it was told, the next contribution begins as if nothing had been. */
    let page: Page;
    let victims = 0;

    before(async () => {
      const app = new Hono();
      const places = openTransfers(systemClock, TRANSFER_LIMITS.down);
      servePage(app, { folder: tabs.web, public_url: null }, places);
      app.get('/status', (c) => c.json({ hub: HUB, runs: [statusOf(view)] }));
      app.put('/blobs/:hash', (c) => {
        uploads++;
        return c.body(null, 201);
      });
      app.get('/blobs/:hash', (c) => {
        const blob = blobs.get(c.req.param('hash'));
        if (blob === undefined) return c.notFound();
        if (typeof blob !== 'number') return c.body(blob as Uint8Array<ArrayBuffer>);
        const endless = new ReadableStream({ pull: (stream) => stream.enqueue(new Uint8Array(1024)) });
        return c.body(endless, 200, { 'content-length': String(blob) });
      });
      serveViews(app, { folder: tabs.web, public_url: null }, () => []);
      server = createAdaptorServer({ fetch: app.fetch }) as Server;
      new WebSocketServer({ server }).on('connection', (socket) => {
        socket.on('error', () => {});
        socket.on('message', (data) => {
          const message = decodeFromPeer(new Uint8Array(data as Buffer));
          if (message.type === 'hello') {
            signed.push('hello');
            say(socket, { type: 'welcome', present: false, session: 0 });
            say(socket, { type: 'run', view });
          }
          if (message.type === 'event') {
            signed.push(openEvent(message.event).body.type);
            if (receipt) say(socket, { type: 'accepted', event: sha256Hex(message.event), receipt });
          }
        });
        greet(socket, connections++);
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      page = await tabs.browser.newPage();
      await page.goto(`${url}/start`);
    });
    after(async () => {
      await page?.close();
      server.closeAllConnections();
      server.close();
    });
    beforeEach(() => {
      view = viewOf(settings());
      blobs = new Map<string, Uint8Array | number>([[sha256Hex(settings()), settings()], ...model.blobs]);
      greet = (socket) => say(socket, challenge);
      connections = 0;
      receipt = null;
      signed = [];
      uploads = 0;
    });

    /** Contributes until something is wrong, then stops: what was wrong, by its code. */
    const trouble = async (): Promise<string> => {
      const tab = await TabUnderTest.start(page, { run: RUN, name: `victim${victims++}`, threads: 1 });
      const { failure, problem } = await tab.until((s) => s.failure !== null || s.problem !== null);
      await tab.stop();
      assert.equal(await page.evaluate('6 * 7'), 42, 'the page is alive');
      assert.ok(['stopped', 'failed'].includes(tab.state.phase), tab.state.phase);
      assert.deepEqual(tab.state.handed_in, []);
      assert.equal(uploads, 0);
      assert.deepEqual(
        signed.filter((type) => type !== 'hello' && !HARMLESS.includes(type)),
        [],
      );
      return (failure ?? problem)!.code;
    };

    test('about the bytes of the settings', async () => {
      blobs.set(view.params, model.manifest);
      assert.equal(await trouble(), 'bad-blob');
      assert.deepEqual(signed, []);
    });

    test('with settings of no game, and with a model that no tab can hold', async () => {
      for (const [change, code] of [
        [{ model: 1 }, 'bad-params'],
        [{ model: { ...config, vocab_size: 262_144, hidden_size: 4096 } }, 'too-large-for-this-device'],
      ] as const) {
        view = viewOf(settings(change));
        blobs.set(view.params, settings(change));
        assert.equal(await trouble(), code);
        assert.deepEqual(signed, []);
      }
    });

    test('about the bytes of the model, with one that never ends, and with one that is not there', async () => {
      for (const lie of [new Uint8Array(10), WIRE_LIMITS.blob_bytes + 1, undefined]) {
        if (lie === undefined) blobs.delete(view.model);
        else blobs.set(view.model, lie);
        assert.equal(await trouble(), 'bad-blob');
      }
    });

    test('about the way to the present model', async () => {
      view = { ...view, model: 'd'.repeat(64) };
      assert.equal(await trouble(), 'no-way');
    });

    test('about what it has taken', async () => {
      receipt = { format: 'potluck-receipt-v1', index: 7, inclusion_proof: [], checkpoint: 'trust me' };
      assert.equal(await trouble(), 'bad-receipt');
    });

    test('about who it is', async () => {
      greet = (socket) => say(socket, { ...challenge, hub: 'c'.repeat(64) } as FromHub);
      assert.equal(await trouble(), 'other-hub');
      assert.deepEqual(signed, [], 'nothing was signed for it');
    });

    test('by babbling: it is cut off and tried again', async () => {
      const babble = [Uint8Array.of(0xff), 'text', new Uint8Array(WIRE_LIMITS.message_bytes + 1), Uint8Array.of(0xa0)];
      view = { ...view, model: 'd'.repeat(64) };
      greet = (socket, connection) => {
        if (connection < babble.length) socket.send(babble[connection]);
        if (babble[connection] === 'text') socket.close(); // nobody here understands text, and nobody minds it
        if (connection >= babble.length) say(socket, challenge);
      };
      assert.equal(await trouble(), 'no-way');
      assert.ok(connections > babble.length);
    });
  });
}
