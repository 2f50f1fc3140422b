// A pool on a clock that stands still, with devices that speak over the wire's own bytes: honest ones, that die, freeze and drip, and callers.
import type { Margins } from '../../../core/events/limits-published.ts';
import { type AnswerClaim, answerHash, signClaim } from '../../../protocol/answer-receipt.ts';
import type { Clock, Timer } from '../../../protocol/clock.ts';
import { encodeMessage } from '../../../protocol/encode-message.ts';
import { decodeFromHub } from '../../../protocol/from-hub.ts';
import { decodeFromPeer, type FromPeer } from '../../../protocol/from-peer.ts';
import type { Identity } from '../../../protocol/identity.ts';
import { seededRandom } from '../../../protocol/random.ts';
import { packTokens, type TokenRow, unpackRequest } from '../../../protocol/serving-bytes.ts';
import { type FromServingPeer, isServing, type Offer } from '../../../protocol/serving-from-peer.ts';
import type { PayWords, ToServingPeer } from '../../../protocol/serving-messages.ts';
import { type HandClock, handClock } from '../../../protocol/testing/hand-clock.ts';
import { type AnswerEvent, type AnswerRequest, AnswerRequestSchema } from '../../../serving/answers.ts';
import { JudgeTaskSchema } from '../../../serving/judge-task.ts';
import { chargeOf } from '../../../serving/price.ts';
import { ANY_DEVICE, type Caller, type Ticket } from '../caller.ts';
import type { KnownModel } from '../models.ts';
import { openPool, type Pool, type PoolOptions } from '../pool.ts';
import { NO_COUNTS, type WatchedPool } from '../pool-metrics.ts';
import { limitsBy } from '../verdict.ts';

export const MODEL = 'ab'.repeat(32);
export const NAME = 'poems';

/** What every honest device writes at a place of an answer: any of them, whoever wrote before. */
export const idAt = (seed: string, position: number): number =>
  (Math.imul(position + 1, 0x9e3779b1) ^ Math.imul(seed.length + seed.charCodeAt(0), 0x85ebca6b)) >>> 12;
const textAt = (seed: string, position: number): string => `${idAt(seed, position) % 1000} `;

export const ask = (more: Partial<AnswerRequest> = {}): AnswerRequest => ({
  ...{ model: NAME, prompt: { kind: 'ids', ids: [1, 2, 3] }, written: [], max_tokens: 20, stop: [], echo: false },
  sampling: {
    ...{ seed: 's', temperature: 1, top_p: 1, presence_penalty: 0, frequency_penalty: 0, logit_bias: [] },
  },
  ...{ top_logprobs: null, format: { kind: 'text' } },
  ...more,
});

/** What an undisturbed device gives. */
export function wholeText({ prompt, max_tokens, sampling }: AnswerRequest): string {
  const read = prompt.kind === 'ids' ? prompt.ids.length : 0;
  return Array.from({ length: max_tokens }, (_, i) => textAt(sampling.seed, read + i)).join('');
}

export interface Habits {
  readonly gap_ms: number;
  readonly first_ms: number;
  readonly places: number;
  readonly judge_ms: number;
  readonly offer: Partial<Offer>;
  /** The key with which it signs what it is paid for. */
  readonly identity: Identity | null;
  /** After how many tokens it signs while it writes. */
  readonly claim_tokens: number;
  /** What it signs in place of the truth; null: nothing. */
  readonly claim: (claim: Claimed) => Claimed | null;
  /** What it does in place of sending a message of an answer; null: it sends nothing. */
  readonly twist: (message: FromServingPeer) => readonly FromServingPeer[];
}
export type Claimed = Omit<AnswerClaim, 'type' | 'version'>;
const HONEST: Habits = {
  ...{ gap_ms: 50, first_ms: 100, places: 4, judge_ms: 30, offer: {}, twist: (message) => [message] },
  ...{ identity: null, claim_tokens: 20, claim: (claim) => claim },
};

/** What a device has written of one lease that it is paid for. */
interface Written {
  readonly pay: PayWords;
  readonly ids: number[];
  readonly input_tokens: number;
}

/** Where a device is connected: a pool, or a front end of pools at other processes, which refuses later what those find wrong. */
export interface Place {
  hear(
    connection: FakeDevice['connection'],
    message: FromServingPeer,
    refuse: (error: Error) => void,
  ): void | Promise<void>;
  gone(connection: FakeDevice['connection']): void;
}

export class FakeDevice {
  readonly peer: string;
  readonly number: string;
  readonly heard: ToServingPeer[] = [];
  readonly refused: string[] = [];
  /** It neither hears nor does anything, as a process that is stopped. */
  frozen = false;
  readonly #habits: Habits;
  readonly #world: PoolWorld;
  readonly #place: Place;
  readonly #writing = new Map<string, Timer>();
  readonly #paid = new Map<string, Written>();
  #count = 0;
  #gone = false;
  readonly connection;

  constructor(world: PoolWorld, number: string, habits: Partial<Habits>, peer: string, place: Place) {
    this.#world = world;
    this.#place = place;
    this.#habits = { ...HONEST, ...habits };
    this.number = number;
    this.peer = peer;
    this.connection = {
      ...{ number, peer, tell: (message: ToServingPeer) => this.#arrives(encodeMessage(message)) },
      send: (frame: Uint8Array) => this.#arrives(frame),
    };
    this.offer();
  }

  /** How many answers it writes. */
  get writing(): number {
    return this.#writing.size;
  }

  offer(places = this.#habits.places - this.#writing.size): void {
    this.say({
      ...{ type: 'offer', model: MODEL, quantisation: 'f32', engine: 'own', class: 'own cpu', context_tokens: 4096 },
      ...{ free_tokens: 1e6, places: Math.max(0, places), chat: false, tools: false, heard: this.#count },
      ...{ price_in: 0, price_out: 0, region: null },
      ...this.#habits.offer,
    });
  }

  /** Sends what may be anything, as bytes over the wire. */
  say(message: FromServingPeer): void {
    if (this.frozen || this.#gone) return;
    const refuse = (error: unknown): void => void this.refused.push((error as Error).message);
    try {
      const decoded: FromPeer = decodeFromPeer(encodeMessage(message));
      if (isServing(decoded)) this.#place.hear(this.connection, decoded, refuse)?.catch(refuse);
    } catch (error) {
      refuse(error);
    }
  }

  /** Signs what it has written of a lease, so far or to the end. */
  async sign(lease: string, tokens?: number): Promise<void> {
    const { identity, offer, claim: change } = this.#habits;
    const written = this.#paid.get(lease);
    if (!identity || !written) return;
    const { pay, input_tokens } = written;
    const ids = written.ids.slice(0, tokens);
    const price = { input_micro: offer.price_in ?? 0, output_micro: offer.price_out ?? 0 };
    const { salt, price_in: _in, price_out: _out, ...rest } = pay;
    const claimed = change({
      ...{ ...rest, model: MODEL, quantisation: 'f32', input_tokens, output_tokens: ids.length },
      ...{ answer: answerHash(salt, ids), earns_micro: chargeOf(price, input_tokens, ids.length) },
    });
    if (claimed) this.say({ type: 'answer-claim', lease, claim: await signClaim(identity, claimed) });
  }

  /** Its socket closes, as that of a process that was killed. */
  die(): void {
    this.#gone = true;
    this.#stopAll();
    this.#place.gone(this.connection);
  }

  /** Hands over what it writes, because its owner is back. */
  leave(): void {
    for (const lease of [...this.#writing.keys()]) {
      this.#stop(lease);
      this.say({ type: 'answer-failed', lease, code: 'leaving', message: 'its owner is back' });
      void this.sign(lease);
    }
    this.offer(0);
  }

  #arrives(frame: Uint8Array): void {
    const arrived = decodeFromHub(frame) as ToServingPeer;
    this.heard.push(arrived);
    if (this.#gone) return;
    if (arrived.type === 'answer-stop') {
      this.#stop(arrived.lease);
      if (arrived.took !== undefined) void this.sign(arrived.lease, arrived.took);
      this.offer();
    }
    if (arrived.type === 'judge') this.#world.clock.setTimeout(() => this.#judge(arrived), this.#habits.judge_ms);
    if (arrived.type !== 'answer') return;
    this.#count++;
    const { lease } = arrived;
    const request = unpackRequest(arrived.request, AnswerRequestSchema);
    const read = request.prompt.kind === 'ids' && request.written.length === 0 ? request.prompt.ids.length : 0;
    if (arrived.pay) this.#paid.set(lease, { pay: arrived.pay, ids: [], input_tokens: read });
    this.#at(lease, 1, () => {
      this.#send({ type: 'answer-taken', lease });
      this.offer();
      this.#at(lease, this.#habits.first_ms, () => this.#begin(lease, request));
    });
  }

  #judge({ lease, asked }: Extract<ToServingPeer, { readonly type: 'judge' }>): void {
    const { request, served } = unpackRequest(asked, JudgeTaskSchema);
    const read = request.prompt.kind === 'ids' ? request.prompt.ids.length : 0;
    const at = read + request.written.length;
    const differing = served.ids.filter((id, i) => id !== idAt(request.sampling.seed, at + i)).length;
    this.#send({
      ...{ type: 'judged', lease, prompt_tokens: read, flaw: null, draws: served.ids.length, differing, impossible: 0 },
      ...{ margin: 2 * differing, end_margin: 0, logprob_distance: null },
    });
  }

  #begin(lease: string, request: AnswerRequest): void {
    const read = request.prompt.kind === 'ids' ? request.prompt.ids : [];
    this.#send({ type: 'answer-begun', lease, prompt_tokens: read.length });
    let sent = 0;
    if (request.echo) {
      const rows = read.map((id): TokenRow => [id, `p${id} `, true, null, []]);
      this.#send({ type: 'answer-tokens', lease, from: 0, packed: packTokens(rows) });
      sent = rows.length;
    }
    let written = request.written.length;
    const { seed } = request.sampling;
    const next = (): void => {
      if (written >= request.max_tokens) {
        this.#send({ type: 'answer-ended', lease, text: '', reason: 'length', end_id: null, written_tokens: written });
        this.#stop(lease);
        void this.sign(lease);
        this.offer();
        return;
      }
      const position = read.length + written;
      const rows: TokenRow[] = [[idAt(seed, position), textAt(seed, position), false, null, []]];
      this.#send({ type: 'answer-tokens', lease, from: sent, packed: packTokens(rows) });
      sent++;
      written++;
      const ids = this.#paid.get(lease)?.ids;
      ids?.push(idAt(seed, position));
      if (ids && ids.length % this.#habits.claim_tokens === 0) void this.sign(lease);
      this.#at(lease, this.#habits.gap_ms, next);
    };
    next();
  }

  #send(message: FromServingPeer): void {
    for (const one of this.#habits.twist(message)) this.say(one);
  }

  /** Does something of an answer later, unless it was stopped; while it is frozen, nothing happens. */
  #at(lease: string, delay_ms: number, act: () => void): void {
    const { clock } = this.#world;
    const later = (wait_ms: number): void => {
      const timer = clock.setTimeout(() => {
        if (this.frozen) later(100);
        else act();
      }, wait_ms);
      this.#writing.set(lease, timer);
    };
    later(delay_ms);
  }

  #stop(lease: string): void {
    this.#world.clock.clearTimeout(this.#writing.get(lease));
    this.#writing.delete(lease);
  }

  #stopAll(): void {
    for (const lease of [...this.#writing.keys()]) this.#stop(lease);
  }
}

export class PoolWorld {
  readonly clock: HandClock = handClock(1_000_000);
  readonly pool: Pool;
  readonly owners = new Map<string, string | null>();
  /** How judgings have ended, and what the pool lets itself be watched for. */
  readonly judgings: string[] = [];
  watched: WatchedPool | null = null;
  /** By device, how often judges have accepted and refused what it wrote. */
  readonly decisions = new Map<string, [accepted: number, refused: number]>();
  /** What runs have made. */
  models: KnownModel[] = [{ hash: MODEL, names: [NAME, `${NAME}@1`], created_ms: 0, licence: null, run: null }];
  /** What owners have published of the models here. */
  margins: Margins | undefined;
  readonly #draws = seededRandom('pool world');
  #number = 0;
  #random = 0;

  constructor(payments?: PoolOptions['payments']) {
    this.pool = openPool({
      payments,
      clock: this.clock as Clock,
      randomBytes: (length) => {
        if (length === 4) return Uint8Array.from({ length }, () => this.#draws.below(256));
        this.#random++;
        return Uint8Array.from({ length }, (_, i) => (this.#random >>> (8 * (i % 4))) & 255);
      },
      models: () => this.models,
      ownerOf: (peer) => this.owners.get(peer) ?? null,
      limitsOf: ({ quantisation }) => limitsBy(this.margins, quantisation),
      decided: (peer, refused) => {
        const [accepted, before] = this.decisions.get(peer) ?? [0, 0];
        this.decisions.set(peer, [accepted + Number(!refused), before + Number(refused)]);
      },
      counts: {
        ...NO_COUNTS,
        judged: (end) => void this.judgings.push(end),
        watch: (pool) => {
          this.watched = pool;
        },
      },
    });
  }

  /** @param at another process of the hub, if it is connected there */
  device(habits: Partial<Habits> = {}, peer?: string, at: Place = this.pool): FakeDevice {
    const number = String(this.#number++);
    return new FakeDevice(this, number, habits, peer ?? number.padStart(64, '0'), at);
  }

  /** Asks, and reads to the end. */
  async read(
    request: AnswerRequest = ask(),
    options: {
      caller?: Caller;
      ticket?: Ticket;
      signal?: AbortSignal;
      onEvent?: (event: AnswerEvent) => void;
    } = {},
  ): Promise<{ events: AnswerEvent[]; text: string }> {
    const { caller = ANY_DEVICE, ticket = null, signal = new AbortController().signal, onEvent } = options;
    const events: AnswerEvent[] = [];
    for await (const event of this.pool.serverFor(caller, () => ticket).answer(request, signal)) {
      events.push(event);
      onEvent?.(event);
    }
    return { events, text: textOf(events) };
  }
}

/** The text of an answer, without the prompt's. */
export const textOf = (events: readonly AnswerEvent[]): string =>
  events
    .map((event) => (event.kind === 'ended' || (event.kind === 'token' && !event.echoed) ? event.text : ''))
    .join('');
