// A process of `bench hub`: holds many peers, each with its own key and WebSocket, and does with all of them what it is told.
// A worker reads only what is about itself; a validator has a device's own connection, so it reads whatever a hub sends validators.
import { WebSocket } from 'ws';
import type { VerdictGiven } from '../core/events/verdict-given.ts';
import type { EventBody } from '../core/events.ts';
import { exampleVerdict, sealFor } from '../core/testing/example-events.ts';
import { connectToHub, type HubConnection } from '../peer/connection.ts';
import { type Channel, webSocketChannel } from '../protocol/channel.ts';
import { systemClock } from '../protocol/clock.ts';
import { encodeMessage } from '../protocol/encode-message.ts';
import { eventId, signEvent } from '../protocol/envelope.ts';
import { decodeFromHub } from '../protocol/from-hub.ts';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import { createIdentity, type Identity } from '../protocol/identity.ts';
import { helloChallenge, PROTOCOL_VERSION, type RunView, WIRE_LIMITS } from '../protocol/messages.ts';
import { BenchError } from './errors.ts';
import { type Target, uploadWhole } from './flood.ts';
import { madeUpWork, paramsFor } from './made-up-work.ts';

/** Of one process: connections that open, and events and uploads that wait for their answer, at the same time. */
const AT_ONCE = { connections: 250, events: 64, uploads: 16 } as const;
/** What one device has on its way: a hub takes more, but fewer is what a device does. */
const OF_ONE_DEVICE = 8;

export interface PeersOrder {
  readonly workers: number;
  readonly validators: number;
  /** How many of the workers hand in. */
  readonly submissions: number;
  /** The number of the first worker, so that the work of each is another one. */
  readonly first: number;
  readonly parameters: number;
}

/** What a process is told, one thing after the other; it answers each with `Did`. */
export type Told =
  | { readonly do: 'connect'; readonly target: Target; readonly run: string }
  | { readonly do: 'join' | 'come-back' | 'look' | 'upload' | 'leave' | 'evidence' | 'seal' | 'reveal' }
  | { readonly do: 'submit'; readonly attempt: number; readonly base: string };

export interface Did {
  /** How many peers, events or uploads it was. */
  readonly count: number;
  /** Connected peers of which the hub has said, since they (last) came, that the log has not that they are here. */
  readonly gone: number;
  /** Bytes that have come from the hub to all of them. */
  readonly bytes: number;
  /** Bytes that came from the hub, per validator. */
  readonly validator_bytes: readonly number[];
}

/** A blob on its way to the hub, as a device sends it (peer/blobs.ts): small ones go with the event that needs them. */
interface Handed {
  readonly hash: string;
  readonly size_bytes: number;
  readonly enclosed: Uint8Array | null;
}

async function handOver(target: Target, identity: Identity, bytes: Uint8Array): Promise<Handed> {
  const size_bytes = bytes.length;
  if (size_bytes <= WIRE_LIMITS.enclosed_bytes) return { hash: sha256Hex(bytes), size_bytes, enclosed: bytes };
  return { hash: await upload(target, identity, bytes), size_bytes, enclosed: null };
}

/** A busy hub closes connections that wait; an upload is the same however often it is sent. */
async function upload(target: Target, identity: Identity, bytes: Uint8Array): Promise<string> {
  const send = () => uploadWhole(target, identity, bytes);
  const { status, hash } = await send().catch(send).catch(send);
  if (status === 201) return hash;
  throw new BenchError('engine-failed', `an upload was answered with ${status}`);
}

/** Does one thing for each of a list, so many at once. */
async function forEach<T>(all: readonly T[], at_once: number, act: (one: T) => Promise<unknown>): Promise<void> {
  let next = 0;
  const loop = async (): Promise<void> => {
    while (next < all.length) await act(all[next++]);
  };
  await Promise.all(Array.from({ length: Math.min(at_once, all.length) }, loop));
}

/** Whether a frame is about a run: most of what a worker gets, and nothing that it needs here. */
const isAboutRun = (frame: Buffer): boolean => frame.subarray(0, 20).includes('run');

class Worker {
  readonly identity: Identity = createIdentity();
  gone = false;
  bytes = 0;
  /** The session that its next join opens, while the log has it as gone. */
  session = 0;
  readonly #answers = new Map<string, { resolve(): void; reject(error: Error): void }>();
  #socket: WebSocket | null = null;

  connect({ url }: Target, run: string): Promise<void> {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, { perMessageDeflate: false });
    this.#socket = socket;
    return new Promise((resolve, reject) => {
      socket.on('error', reject);
      socket.on('close', (code, reason) => {
        const error = new BenchError('engine-failed', `the hub has closed a connection: ${code} ${reason}`);
        reject(error);
        for (const waiting of this.#answers.values()) waiting.reject(error);
      });
      socket.on('message', async (frame: Buffer) => {
        this.bytes += frame.length;
        if (isAboutRun(frame)) return;
        const message = decodeFromHub(new Uint8Array(frame));
        if (message.type === 'challenge') {
          const { id: peer } = this.identity;
          const signature = await this.identity.sign(helloChallenge(message.hub, message.nonce));
          const hello = { type: 'hello', protocol: PROTOCOL_VERSION, role: 'worker', run, peer, signature } as const;
          socket.send(encodeMessage(hello));
        }
        if (message.type === 'welcome') {
          if (!message.present) [this.gone, this.session] = [true, message.session];
          resolve();
        }
        if (message.type === 'accepted') this.#answers.get(message.event)?.resolve();
        if (message.type !== 'refused') return;
        const error = new BenchError('engine-failed', `${message.code}: ${message.message}`);
        if (message.event) this.#answers.get(message.event)?.reject(error);
        else reject(error);
      });
    });
  }

  async send(body: EventBody, enclosed: Uint8Array | null = null): Promise<void> {
    const event = await signEvent(this.identity, body);
    const id = eventId(event);
    await new Promise<void>((resolve, reject) => {
      this.#answers.set(id, { resolve, reject });
      this.#socket!.send(encodeMessage({ type: 'event', event, ...(enclosed && { enclosed }) }));
    });
    this.#answers.delete(id);
  }
}

class Validator {
  readonly identity: Identity = createIdentity();
  bytes = 0;
  gone = false;
  session = 0;
  view: RunView | null = null;
  /** By submission. */
  readonly verdicts = new Map<string, VerdictGiven>();
  /** What its verdicts rest on, where it goes with the seals; by submission. */
  readonly enclosed = new Map<string, Uint8Array>();
  #connection: HubConnection | null = null;
  #wake = (): void => {};

  /** Resolves when the hub has welcomed it; later it reconnects by itself. */
  connect({ url, hub }: Target, run: string): Promise<void> {
    const dial = (): Channel => {
      const options = { maxPayload: WIRE_LIMITS.message_bytes, perMessageDeflate: false };
      const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, options);
      socket.on('message', (frame: Buffer) => {
        this.bytes += frame.length;
      });
      return webSocketChannel(socket);
    };
    return new Promise((resolve, reject) => {
      this.#connection = connectToHub({
        ...{ transport: { dial, clock: systemClock, random: Math.random }, identity: this.identity },
        ...{ hub, run, role: 'validator', onAway() {}, onFatal: reject },
        onWelcome: ({ present, session }) => {
          if (!present) [this.gone, this.session] = [true, session];
          this.#wake();
          resolve();
        },
        onRun: (view) => {
          this.view = view;
          this.#wake();
        },
      });
    });
  }

  /** Waits for news until something holds. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  submit = async (body: EventBody, enclosed: Uint8Array | null = null): Promise<unknown> =>
    this.#connection!.submit(await signEvent(this.identity, body), enclosed);

  /** The submissions that it was drawn for. */
  get drawn(): string[] {
    const mine = this.view!.submissions.filter(({ judges }) => judges.includes(this.identity.id));
    return mine.map(({ id }) => id);
  }
}

/** All peers of this process. */
class Peers {
  readonly #order: PeersOrder;
  readonly workers: Worker[];
  readonly validators: Validator[];
  readonly #works = new Map<Worker, Handed>();
  #target: Target | null = null;
  #run = '';

  constructor(order: PeersOrder) {
    this.#order = order;
    this.workers = Array.from({ length: order.workers }, () => new Worker());
    this.validators = Array.from({ length: order.validators }, () => new Validator());
  }

  get #busy(): Worker[] {
    return this.workers.slice(0, this.#order.submissions);
  }

  /** @returns how many peers, events or uploads it was */
  async act(told: Told): Promise<number> {
    switch (told.do) {
      case 'connect':
        [this.#target, this.#run] = [told.target, told.run];
        return this.#connect();
      case 'join':
        return this.#join();
      case 'come-back':
        return this.#comeBack();
      case 'look':
        return 0;
      case 'upload':
        return this.#upload();
      case 'submit':
        return this.#submit(told.attempt, told.base);
      case 'leave':
        return this.#leave();
      case 'evidence':
        return this.#evidence();
      case 'seal':
        return this.#judge((validator, verdict) => {
          const enclosed = validator.enclosed.get(verdict.submission) ?? null;
          return [sealFor(validator.identity.id, verdict), enclosed];
        });
      case 'reveal':
        await Promise.all(this.validators.map((one) => one.until(() => one.view?.phase === 'revealing')));
        return this.#judge((_, verdict) => [verdict, null]);
    }
  }

  async #connect(): Promise<number> {
    const all = [...this.validators, ...this.workers];
    await forEach(all, AT_ONCE.connections, (peer) => peer.connect(this.#target!, this.#run));
    return all.length;
  }

  /** All of whom the log has not that they are here. */
  async #join(): Promise<number> {
    const joined = (role: 'worker' | 'validator', session: number): EventBody => ({
      ...{ type: 'peer.joined', version: 1, run: this.#run, session, role, name: 'bench', runtime: 'native-cpu' },
    });
    const validators = this.validators.filter((one) => one.gone);
    const workers = this.workers.filter((one) => one.gone);
    await forEach(validators, AT_ONCE.events, (one) => one.submit(joined('validator', one.session)));
    await forEach(workers, AT_ONCE.events, (one) => one.send(joined('worker', one.session)));
    return validators.length + workers.length;
  }

  /** The hub was killed, and is there again. Validators have come back when they are told what is now. */
  async #comeBack(): Promise<number> {
    for (const peer of [...this.validators, ...this.workers]) peer.gone = false;
    for (const one of this.validators) one.view = null;
    await forEach(this.workers, AT_ONCE.connections, (one) => one.connect(this.#target!, this.#run));
    await Promise.all(this.validators.map((one) => one.until(() => one.view !== null)));
    return this.validators.length + this.workers.length;
  }

  async #upload(): Promise<number> {
    const params = paramsFor(this.#order.parameters, 1);
    await forEach([...this.#busy.entries()], AT_ONCE.uploads, async ([i, worker]) => {
      const bytes = madeUpWork(params, this.#order.first + i);
      this.#works.set(worker, await handOver(this.#target!, worker.identity, bytes));
    });
    return [...this.#works.values()].filter(({ enclosed }) => enclosed === null).length;
  }

  async #submit(attempt: number, base: string): Promise<number> {
    const claim = { amount: 16, numbers: { steps: 1, loss_micro: 1_000_000 }, pledge: '0'.repeat(64) };
    const body = { type: 'work.submitted', version: 2, run: this.#run, round: 0, attempt, base, ...claim } as const;
    await forEach(this.#busy, AT_ONCE.events, (one) => {
      const { hash: work, size_bytes, enclosed } = this.#works.get(one)!;
      return one.send({ ...body, work, size_bytes }, enclosed);
    });
    return this.#busy.length;
  }

  /** Nobody waits for workers that have left; their connections stay. */
  async #leave(): Promise<number> {
    const idle = this.workers.slice(this.#order.submissions);
    const body = { type: 'peer.left', version: 1, run: this.#run, reason: 'goodbye' } as const;
    const leave = (one: Worker) => one.send({ ...body, peer: one.identity.id, session: one.session });
    await forEach(idle, AT_ONCE.events, leave);
    return idle.length;
  }

  /** Waits for the draw, and uploads what each validator's verdicts rest on, unless that is to go with the seals. */
  async #evidence(): Promise<number> {
    let count = 0;
    const of = async (validator: Validator): Promise<void> => {
      await validator.until(() => validator.view?.phase === 'judging' && validator.view.draw !== null);
      const { id } = validator.identity;
      await forEach(validator.drawn, Math.ceil(AT_ONCE.uploads / this.validators.length), async (submission) => {
        const bytes = utf8(JSON.stringify({ submission, validator: id, losses: [1_000_000, 999_000] }));
        const { hash: evidence, enclosed } = await handOver(this.#target!, validator.identity, bytes);
        if (enclosed) validator.enclosed.set(submission, enclosed);
        else count++;
        const verdict = exampleVerdict(this.#run, submission, 16, true, { evidence });
        validator.verdicts.set(submission, verdict);
      });
    };
    await Promise.all(this.validators.map(of));
    return count;
  }

  /** @param what the event of a verdict, and what it encloses */
  async #judge(what: (validator: Validator, verdict: VerdictGiven) => [EventBody, Uint8Array | null]): Promise<number> {
    const of = (validator: Validator): Promise<void> =>
      forEach([...validator.verdicts.values()], OF_ONE_DEVICE, (verdict) =>
        validator.submit(...what(validator, verdict)),
      );
    await Promise.all(this.validators.map(of));
    return this.validators.reduce((sum, { verdicts }) => sum + verdicts.size, 0);
  }
}

const peers = new Peers(JSON.parse(process.argv[2]) as PeersOrder);
process.on('message', async (told: Told) => {
  const count = await peers.act(told);
  const gone = [...peers.workers, ...peers.validators].filter((peer) => peer.gone).length;
  const bytes = [...peers.workers, ...peers.validators].reduce((sum, peer) => sum + peer.bytes, 0);
  const did: Did = { count, gone, bytes, validator_bytes: peers.validators.map(({ bytes }) => bytes) };
  process.send!(did);
});
process.on('disconnect', () => process.exit());
