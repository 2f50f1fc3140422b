// A hub that lies or babbles on the socket: a peer gives a typed error or tries again; it never crashes, hangs or believes.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { type WebSocket, WebSocketServer } from 'ws';
import { LlamaConfigSchema, parameterSpecs } from '../model/config.ts';
import { initialWeights } from '../model/init.ts';
import { modelBlobs } from '../model/testing/model-blobs.ts';
import { encodeMessage } from '../protocol/encode-message.ts';
import { signEvent } from '../protocol/envelope.ts';
import type { FromHub } from '../protocol/from-hub.ts';
import { decodeFromPeer, type FromPeer } from '../protocol/from-peer.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { createIdentity } from '../protocol/identity.ts';
import { PROTOCOL_VERSION, type RunView } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { exampleStatus, exampleView } from '../protocol/testing/example-views.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { SparseOptionsSchema } from '../training/sparse.ts';
import { openCut } from '../training/steps.ts';
import { connectToHub, type HubConnection } from './connection.ts';
import { observeHub } from './hub-observer.ts';
import { joinRun } from './peer.ts';
import { openThrottle } from './policy.ts';
import type { PeerNews } from './role.ts';
import { webSockets } from './web-sockets.ts';

const HUB = 'b'.repeat(64);
const RUN = 'f'.repeat(64);
const identity = createIdentity();
const root = mkdtempSync(join(tmpdir(), 'potluck-hostile-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** Answers HTTP as a test says, and plays WebSocket by what the test does with each connection. */
let http: (request: IncomingMessage, response: ServerResponse) => void;
let onSocket: (socket: WebSocket) => void;
let server: Server;
let url: string;

beforeEach(async () => {
  http = (_, response) => response.end();
  onSocket = () => {};
  server = createServer((request, response) => http(request, response));
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => {
    socket.on('error', () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  // Sockets that were upgraded are not the server's any more.
  afterEachSockets = () => {
    for (const client of sockets.clients) client.terminate();
  };
});
let afterEachSockets = () => {};
afterEach(async () => {
  afterEachSockets();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const say = (socket: WebSocket, message: FromHub): void => socket.send(encodeMessage(message));
const challenge = (more: object = {}): FromHub => ({
  type: 'challenge',
  protocol: PROTOCOL_VERSION,
  hub: HUB,
  nonce: new Uint8Array(32),
  ...more,
});
const code =
  (expected: string, message = /./) =>
  (error: unknown) =>
    error instanceof PeerError &&
    error.code === expected &&
    message.test(error.message) &&
    !error.message.includes('\n');

describe('a connection', () => {
  let connection: HubConnection;
  const away: string[] = [];
  afterEach(() => connection.close());

  /** Connects; resolves with what ends it for good. */
  const connect = (more: { onWelcome?: () => void; onRun?: (view: RunView) => void; onAway?: () => void } = {}) =>
    new Promise<PeerError>((resolve) => {
      away.length = 0;
      connection = connectToHub({
        transport: webSockets(url),
        hub: HUB,
        run: RUN,
        role: 'worker',
        identity,
        onWelcome: () => more.onWelcome?.(),
        onRun: (view) => more.onRun?.(view),
        onAway: (reason) => {
          away.push(reason);
          more.onAway?.();
        },
        onFatal: resolve,
      });
    });

  test('to a hub of another protocol', async () => {
    onSocket = (socket) => say(socket, challenge({ protocol: PROTOCOL_VERSION + 1 }));
    assert.ok(
      code(
        'other-protocol',
        new RegExp(
          `the hub speaks protocol ${PROTOCOL_VERSION + 1}, the peer speaks ${PROTOCOL_VERSION}: the peer is older: update`,
        ),
      )(await connect()),
    );
  });

  test('to another hub than the one that was asked', async () => {
    let heard = 0;
    onSocket = (socket) => {
      socket.on('message', () => heard++);
      say(socket, challenge({ hub: 'c'.repeat(64) }));
    };
    assert.ok(code('other-hub', /expected hub b{64}/)(await connect()));
    assert.equal(heard, 0, 'nothing was signed for it');
  });

  test('that is refused before it is welcome', async () => {
    for (const [refusal, expected] of [
      ['unknown-version', 'other-protocol'],
      ['unknown-run', 'no-such-run'],
      ['bad-signature', 'refused'],
    ]) {
      onSocket = (socket) => say(socket, { type: 'refused', event: null, code: refusal, message: 'go away' });
      assert.ok(code(expected, /go away/)(await connect()));
    }
  });

  test('whose messages the hub does not understand ends, and its owner hears why', async () => {
    onSocket = (socket) => {
      say(socket, challenge());
      socket.on('message', () => {
        say(socket, { type: 'welcome', present: true, session: 0 });
        say(socket, { type: 'refused', event: null, code: 'malformed', message: 'field x' });
        say(socket, {
          type: 'refused',
          event: null,
          code: 'not-understood',
          message: 'field x; another version may help',
        });
      });
    };
    assert.ok(code('refused', /another version may help/)(await connect()));
  });

  test('to a hub that babbles is broken off and tried again', async () => {
    const babble: (Uint8Array | string)[] = [Uint8Array.of(0xff), new Uint8Array(5000).fill(0x81), Uint8Array.of(0xa0)];
    let connections = 0;
    await new Promise<void>((resolve) => {
      onSocket = (socket) => {
        const next = babble[connections++];
        if (next === undefined) say(socket, challenge());
        else socket.send(next);
        socket.on('message', (data) => {
          const hello = decodeFromPeer(new Uint8Array(data as Buffer));
          if (hello.type === 'hello') say(socket, { type: 'welcome', present: true, session: 0 });
        });
      };
      void connect({ onWelcome: resolve });
    });
    assert.equal(connections, 4);
    assert.equal(away.length, 3);
  });

  test('sends again what was not answered, and believes only a receipt', async () => {
    const event = await signEvent(identity, { type: 'tick', version: 1, time_ms: 1 });
    const sent: FromPeer[] = [];
    let connections = 0;
    onSocket = (socket) => {
      connections++;
      say(socket, challenge());
      socket.on('message', (data) => {
        const message = decodeFromPeer(new Uint8Array(data as Buffer));
        if (message.type === 'hello') say(socket, { type: 'welcome', present: true, session: 0 });
        else {
          sent.push(message);
          if (connections === 1) socket.terminate();
          else say(socket, { type: 'accepted', event: sha256Hex(event), receipt: { index: 3 } });
        }
      });
    };
    void connect();
    await assert.rejects(() => connection.submit(event), code('bad-receipt', /receipt for event/));
    assert.equal(sent.length, 2);
    assert.deepEqual(sent[0], sent[1]);
  });

  test('takes no views of other runs', async () => {
    const views: string[] = [];
    const other = { ...view(), run: 'a'.repeat(64) };
    await new Promise<void>((resolve) => {
      onSocket = (socket) => {
        say(socket, { type: 'run', view: other });
        say(socket, { type: 'run', view: view() });
      };
      void connect({
        onRun: (seen) => {
          views.push(seen.run);
          resolve();
        },
      });
    });
    assert.deepEqual(views, [RUN]);
  });

  test('that is closed rejects what still waits', async () => {
    void connect();
    const answer = connection.submit(Uint8Array.of(1));
    connection.close();
    await assert.rejects(answer, code('disconnected'));
    await assert.rejects(() => connection.submit(Uint8Array.of(1)), code('disconnected'));
  });
});

test('a watcher of a hub that babbles tries again', async () => {
  let connections = 0;
  await new Promise<void>((resolve) => {
    onSocket = (socket) => {
      if (++connections === 1) socket.send(Uint8Array.of(0xff, 0xff));
      else
        say(socket, {
          type: 'changes',
          whole: true,
          now_ms: 0,
          events: 0,
          runs: [],
          history: [],
          samples: [],
          peers: [],
        });
    };
    const observer = observeHub(url, () => {
      observer.close();
      resolve();
    });
  });
  assert.equal(connections, 2);
});

const config = LlamaConfigSchema.parse({
  vocab_size: 8,
  hidden_size: 8,
  intermediate_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 1,
});
const model = await modelBlobs(config, initialWeights(config, 'test'));
const params = new TextEncoder().encode(
  JSON.stringify({
    model: config,
    dataset: '0'.repeat(64),
    batch: 1,
    context: 2,
    inner_steps: 1,
    learning_rate: 0.1,
    min_learning_rate: 0.1,
    warmup_steps: 0,
  }),
);

function view(): RunView {
  const hash = model.id;
  const checkpoint = { merged_rounds: 0, model: hash, rest: null };
  return exampleView({ run: RUN, name: 'a trap', params: sha256Hex(params), seed: RUN, model: hash, checkpoint });
}

/** One merge away from the model that is kept whole. */
function viewOfMerge(merge: Partial<RunView['recent'][number]>): RunView {
  const next = 'd'.repeat(64);
  const recent = [{ round: 0, parent: model.id, bundle: RUN, step: null, model: next, ...merge }];
  return { ...view(), recent, model: next };
}

describe('a worker', () => {
  const runtime: Runtime = {
    class: 'test',
    load: () => assert.fail('nothing may be computed here'),
    close: async () => {},
  } as unknown as Runtime;

  /** Joins; the hub serves some blobs and shows one view. Leaves at the first problem, which is returned. */
  const problemWith = async (seen: RunView, blobs: Uint8Array[], served = new Map<string, Uint8Array>()) => {
    for (const blob of blobs) served.set(sha256Hex(blob), blob);
    const { recent: _, submissions: __, checkpoint: ___, ...shared } = seen;
    const status = exampleStatus({ ...shared, owner: RUN });
    http = (request, response) => {
      const blob = served.get(request.url!.replace('/blobs/', ''));
      if (request.url?.startsWith('/status')) response.end(JSON.stringify({ hub: HUB, runs: [status] }));
      else if (blob) response.end(blob);
      else {
        response.statusCode = 404;
        response.end();
      }
    };
    onSocket = (socket) => {
      say(socket, challenge());
      socket.on('message', (data) => {
        const message = decodeFromPeer(new Uint8Array(data as Buffer));
        if (message.type === 'event') {
          say(socket, { type: 'refused', event: sha256Hex(message.event), code: 'not-present', message: 'no' });
        }
        if (message.type !== 'hello') return;
        say(socket, { type: 'welcome', present: true, session: 0 });
        say(socket, { type: 'run', view: seen });
      });
    };
    const leaving = new AbortController();
    const problems: PeerNews[] = [];
    const options = {
      url,
      role: 'worker',
      name: 'w',
      runtime,
      throttle: openThrottle(1),
      signal: leaving.signal,
    } as const;
    const ended = await joinRun({
      ...options,
      folder: mkdtempSync(join(root, 'worker-')),
      onNews: (news) => {
        if (news.type !== 'problem') return;
        problems.push(news);
        leaving.abort();
      },
    });
    assert.equal(ended, 'left');
    return problems[0] as Extract<PeerNews, { type: 'problem' }>;
  };

  test('that is given a wrong model says so, trains nothing, and leaves when asked', async () => {
    const wrong = new Map([[model.id, new Uint8Array(10)]]);
    const problem = await problemWith(view(), [params], wrong);
    assert.equal(problem.code, 'bad-blob');
  });

  test('that is given a list of merges that leads elsewhere', async () => {
    const problem = await problemWith({ ...view(), model: 'd'.repeat(64) }, [params, ...model.blobs.values()]);
    assert.equal(problem.code, 'no-way');
    assert.match(problem.message, /expected merges up to model d{64}, the list ends at [0-9a-f]{64}/);
  });

  test('that is given merges whose bundle is garbage', async () => {
    const garbage = Uint8Array.of(1, 2, 3);
    const problem = await problemWith(viewOfMerge({ bundle: sha256Hex(garbage) }), [
      params,
      ...model.blobs.values(),
      garbage,
    ]);
    assert.equal(problem.code, 'bad-bundle');
  });

  test('that is given a step that is garbage, or one that leads elsewhere than the log says', async () => {
    const garbage = Uint8Array.of(0, 2, 3);
    const cut = await problemWith(viewOfMerge({ step: sha256Hex(garbage) }), [
      params,
      ...model.blobs.values(),
      garbage,
    ]);
    assert.equal(cut.code, 'truncated');
    const specs = parameterSpecs(config);
    const cutting = openCut(specs, [], SparseOptionsSchema.parse({}));
    for (const spec of specs) cutting.tensor(spec, undefined, undefined);
    const step = cutting.step();
    const wrong = await problemWith(viewOfMerge({ step: sha256Hex(step) }), [params, ...model.blobs.values(), step]);
    assert.equal(wrong.code, 'wrong-model');
    assert.match(wrong.message, /round 0: the log says d{64}, its step gives [0-9a-f]{64}/);
  });

  test('that is given settings of no game', async () => {
    const nonsense = new TextEncoder().encode('{"model": 1}');
    await assert.rejects(() => problemWith({ ...view(), params: sha256Hex(nonsense) }, [nonsense]), {
      code: 'bad-params',
    });
  });
});
