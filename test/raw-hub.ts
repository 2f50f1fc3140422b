// A real hub in this process, two runs on it, and raw connections that may say anything: what the tests of bad input share.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { bytesToHex } from '@noble/hashes/utils.js';
import WebSocket from 'ws';
import type { EventBody } from '../src/core/events.ts';
import { type Hub, openHub } from '../src/hub/hub.ts';
import { LlamaConfigSchema, parameterSpecs } from '../src/model/config.ts';
import { initialWeights } from '../src/model/init.ts';
import { modelBlobs } from '../src/model/testing/model-blobs.ts';
import { byteTokenizer } from '../src/model/tokenizer.ts';
import { createRun } from '../src/owner/owner.ts';
import { trainingFor } from '../src/owner/run-settings.ts';
import { encodeMessage } from '../src/protocol/encode-message.ts';
import { signEvent } from '../src/protocol/envelope.ts';
import { decodeFromHub, type FromHub } from '../src/protocol/from-hub.ts';
import type { FromPeer } from '../src/protocol/from-peer.ts';
import { sha256Hex } from '../src/protocol/hash.ts';
import { createIdentity, type Identity } from '../src/protocol/identity.ts';
import { helloChallenge, PROTOCOL_VERSION, uploadChallenge } from '../src/protocol/messages.ts';

export const MODEL = {
  hidden_size: 16,
  intermediate_size: 24, // 24 × 16 values are no power of two: nine bits can name a position that is none
  num_hidden_layers: 1,
  num_attention_heads: 2,
  max_position_embeddings: 16,
};
export const config = LlamaConfigSchema.parse({ ...MODEL, vocab_size: byteTokenizer().vocab_size });
export const specs = parameterSpecs(config);
export const weights = initialWeights(config, 'test');
/** Its blobs are on no hub. */
export const { id: firstModel, blobs: firstBlobs } = await modelBlobs(config, weights);

/** Limits that a test can reach. */
const limits = { hello_ms: 150, queued_bytes: 1 << 16, lost_after_ms: 60_000, goodbye_ms: 300 };
/** Longer than any test: no round ends by itself, no clock gets in between. */
const AN_HOUR_S = 3600;
export const ESSENTIALS = {
  rounds: 5,
  round_seconds: AN_HOUR_S,
  steps: 4,
  batch: 2,
  context: 8,
  learning_rate: 0.01,
} as const;

export type Answer = Extract<FromHub, { type: 'accepted' | 'refused' }>;
export type Refused = Extract<FromHub, { type: 'refused' }>;
export interface HttpAnswer {
  readonly status: number;
  readonly code?: string;
  readonly message?: string;
}

/** One raw connection: everything that came, and what will come. */
export class Raw {
  readonly socket: WebSocket;
  readonly messages: FromHub[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly #waiting = new Set<() => void>();
  #over = false;

  constructor(url: string) {
    this.socket = new WebSocket(`${url.replace('http', 'ws')}/ws`);
    this.socket.on('message', (data) => {
      this.messages.push(decodeFromHub(new Uint8Array(data as Buffer)));
      this.#stir();
    });
    this.socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => {
        this.#over = true;
        resolve({ code, reason: reason.toString() });
        this.#stir();
      });
    });
  }

  #stir(): void {
    for (const check of this.#waiting) check();
  }

  /** The first message, past or future, that fits; it is taken out. */
  next<T extends FromHub>(fits: (message: FromHub) => message is T): Promise<T> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        const found = this.messages.find(fits);
        if (!found && !this.#over) return;
        this.#waiting.delete(check);
        if (!found) {
          reject(new Error(`closed without the message; got ${JSON.stringify(this.messages)}`));
          return;
        }
        this.messages.splice(this.messages.indexOf(found), 1);
        resolve(found);
      };
      this.#waiting.add(check);
      check();
    });
  }

  send(message: FromPeer | Uint8Array | string): void {
    const raw = typeof message === 'string' || message instanceof Uint8Array;
    this.socket.send(raw ? message : encodeMessage(message));
  }

  challenge() {
    return this.next((message) => message.type === 'challenge');
  }

  /** The next refusal of any message, or of those with a code. */
  refusal(code?: string): Promise<Refused> {
    return this.next((message): message is Refused => message.type === 'refused' && (!code || message.code === code));
  }

  /** Sends an event's bytes; resolves with the hub's answer to it. */
  event(event: Uint8Array): Promise<Answer> {
    this.send({ type: 'event', event });
    const id = sha256Hex(event);
    return this.next(
      (message): message is Answer =>
        (message.type === 'accepted' || message.type === 'refused') && message.event === id,
    );
  }
}

export const joined = (run: string, role: 'worker' | 'validator', session = 0): EventBody => ({
  type: 'peer.joined',
  version: 1,
  run,
  session,
  role,
  name: 'x',
  runtime: 'test',
});

export const left = (run: string, peer: string, session: number): EventBody => ({
  ...{ type: 'peer.left', version: 1, run, peer, session, reason: 'goodbye' },
});

/** A hub with two runs: `gathering` waits for workers, in `working` the first round is open and stays so. */
export class HubUnderTest {
  readonly folder = mkdtempSync(join(tmpdir(), 'potluck-bad-input-'));
  /** The ids of all events that the hub made durable, but for its clock's ticks. */
  readonly logged: string[] = [];
  readonly failures: unknown[] = [];
  readonly ada = createIdentity();
  readonly vera = createIdentity();
  gathering = '';
  working = '';
  hub!: Hub;
  #changes = 0;

  async open(): Promise<void> {
    this.hub = await openHub({
      folder: this.folder,
      host: '127.0.0.1',
      port: 0,
      limits,
      onEvent: (event) => {
        if (event.body.type !== 'tick') this.logged.push(event.id);
      },
      onError: (error) => this.failures.push(error),
    });
  }

  async start(): Promise<void> {
    await this.open();
    const owner = createIdentity();
    const newRun = (min_workers: number) => {
      return createRun(this.hub.url, owner, join(this.folder, 'owner'), {
        name: 'bad input',
        texts: ['All work and no play makes Jack a dull boy. '.repeat(400)],
        tokenizer: byteTokenizer(),
        model: MODEL,
        weights,
        seed: 'test',
        ...trainingFor({ ...ESSENTIALS, min_workers }),
      });
    };
    this.gathering = await newRun(2);
    this.working = await newRun(1);
    await this.post(await signEvent(this.vera, joined(this.gathering, 'validator')));
    const opened = await this.hello(this.ada, this.working);
    await opened.event(await signEvent(this.ada, joined(this.working, 'worker')));
    const isOpen = (message: FromHub): message is Extract<FromHub, { type: 'run' }> =>
      message.type === 'run' && message.view.phase === 'working';
    await opened.next(isOpen);
    opened.socket.close();
  }

  async stop(): Promise<void> {
    await this.hub.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  connect(): Raw {
    return new Raw(this.hub.url);
  }

  async hello(identity: Identity, run: string, role: 'worker' | 'validator' = 'worker'): Promise<Raw> {
    const raw = await this.saysHello(identity, run, { role });
    await raw.next((message) => message.type === 'welcome');
    return raw;
  }

  /** Says hello, whatever the hub answers. */
  async saysHello(
    identity: Identity,
    run: string,
    { role = 'worker', yields = false }: { role?: 'worker' | 'validator'; yields?: boolean },
  ): Promise<Raw> {
    const raw = this.connect();
    const { nonce } = await raw.challenge();
    const signature = await identity.sign(helloChallenge(this.hub.id, nonce));
    raw.send({ type: 'hello', protocol: PROTOCOL_VERSION, role, run, peer: identity.id, signature, yields });
    return raw;
  }

  /** Sends an event over HTTP. */
  async post(event: Uint8Array): Promise<HttpAnswer> {
    const response = await fetch(`${this.hub.url}/events`, { method: 'POST', body: event as Uint8Array<ArrayBuffer> });
    return answerOf(response);
  }

  /** Uploads a blob as ada, with what is to be wrong about it. */
  async put(bytes: Uint8Array, change: { hash?: string; headers?: Record<string, string> } = {}): Promise<HttpAnswer> {
    const hash = change.hash ?? sha256Hex(bytes);
    const signature = bytesToHex(await this.ada.sign(uploadChallenge(this.hub.id, hash)));
    const response = await fetch(`${this.hub.url}/blobs/${hash}`, {
      method: 'PUT',
      body: bytes as Uint8Array<ArrayBuffer>,
      headers: { 'x-potluck-peer': this.ada.id, 'x-potluck-signature': signature, ...change.headers },
    });
    return answerOf(response);
  }

  /** Does something to the hub; then an honest peer's next event is taken, as the very next one in the log. */
  async unharmed(attack: () => Promise<void>): Promise<void> {
    const before = this.logged.length;
    await attack();
    assert.equal(this.logged.length, before, 'nothing of it went into the log');
    const event = await signEvent(this.vera, {
      type: 'account.address',
      version: 1,
      hub: this.hub.id,
      change: this.#changes++,
      chain: 'evm',
      address: `0x${'0'.repeat(40)}`,
    });
    assert.equal((await this.post(event)).status, 201);
    assert.deepEqual(this.logged.slice(before), [sha256Hex(event)]);
    assert.deepEqual(this.failures, []);
  }
}

async function answerOf(response: Response): Promise<HttpAnswer> {
  const body: { error?: { code: string; message: string } } = await response.json();
  return { status: response.status, code: body.error?.code, message: body.error?.message };
}

/** The hub of a test file. */
export function hubUnderTest(): HubUnderTest {
  const net = new HubUnderTest();
  before(() => net.start());
  after(() => net.stop());
  return net;
}
