// A device that serves: asks the hub for requests as it has room, writes what it is asked, and gives everything back at once when its owner
// wants the device. Nobody it serves is known to it, and nothing of prompts or answers is kept here.
import type { Clock } from '../protocol/clock.ts';
import { ProtocolError } from '../protocol/errors.ts';
import type { Identity } from '../protocol/identity.ts';
import { unpackRequest } from '../protocol/serving-bytes.ts';
import type { FromServingPeer, Offer, OfferedFile } from '../protocol/serving-from-peer.ts';
import { type EnergyPerToken, type ToServingPeer, unpaidCode } from '../protocol/serving-messages.ts';
import { type AnswerEvent, type AnswerRequest, AnswerRequestSchema } from '../serving/answers.ts';
import { ServingError } from '../serving/errors.ts';
import type { Judged } from '../serving/judge-answer.ts';
import type { JudgeTask } from '../serving/judge-task.ts';
import { mustFit, openSender } from './answer-sender.ts';
import { type Claiming, openClaiming } from './claiming.ts';
import { type EmbeddingModel, sendVectors } from './embedding.ts';
import { type Failure, type Judging, openJudging } from './judging.ts';
import { openOfferedPrices } from './offered-prices.ts';

const LIMITS = {
  flush_ms: 40, // tokens that come close together make one message; people do not see the difference
  messages_per_second: 200, // of all answers together: half of what a hub takes of one connection
  message_characters: 400, // the protocol's limit for an error's sentence
} as const;

/** A model that this device has loaded. */
export interface ServedModel extends EmbeddingModel {
  readonly hash: string;
  readonly quantisation: Offer['quantisation'];
  readonly engine: string;
  readonly class: string;
  readonly context_tokens: number;
  /** Of all answers that are written at the same time. */
  readonly cache_tokens: number;
  /** The most answers at the same time. */
  readonly places: number;
  /** Whether it takes part in conversations, and calls tools in them. */
  readonly chat: boolean;
  readonly tools: boolean;
  /** Of a file that no run has made; missing: a run's model. */
  readonly file?: OfferedFile;
  answer(request: AnswerRequest, signal: AbortSignal): AsyncIterable<AnswerEvent>;
  /** Repeats what another device has written. */
  judge(task: JudgeTask, signal: AbortSignal): Promise<Judged>;
}

/** What the device's owner asks for it, and says of its place. */
export interface ServingTerms {
  /** Millionths of a credit for a million tokens. */
  readonly price_in: number;
  readonly price_out: number;
  readonly region: string | null;
}

export interface ServingOptions extends ServingTerms {
  /** The device's key, which signs what it served. */
  readonly identity: Identity;
  readonly clock: Clock;
  /** Sends a message; lost while the hub is away. */
  send(message: FromServingPeer): void;
  /** Resolves when the owner's rules let the device compute, before an answer and after each token; missing: always. */
  rested?(): Promise<void>;
  worked?(): Promise<void>;
  /** Hears what the owner should know. */
  onProblem?(code: string, message: string): void;
  /** Hears how many answers it writes, and how many it has written to their end. */
  onAnswers?(writing: number, written: number): void;
  onToken?(): void;
  /** Hears of each prompt that is read for the first time, and so paid for. */
  onPrompt?(tokens: number): void;
  /** Hears that nobody can pay this device here; what it asks may be another price afterwards. */
  onUnpaid?(): void;
  /** What a token takes here; missing, or undefined: not known. */
  energy?(): EnergyPerToken | undefined;
}

export interface Serving {
  /** What this device serves from now on; null: nothing. What it writes with another model it writes to its end. */
  serve(model: ServedModel | null): void;
  hear(message: ToServingPeer): void;
  /** There is a new connection: the hub knows nothing of this device. */
  welcome(): void;
  /** The connection is lost, and every lease with it. */
  away(): void;
  /** Its owner wants the device back: all is handed over before this returns. */
  pause(): void;
  resume(): void;
  /** How many answers it writes. */
  readonly running: number;
  /** As `pause`, for good; resolves when everything has stopped. */
  close(): Promise<void>;
}

interface Running {
  /** Of the cache that it may come to need. */
  readonly tokens: number;
  readonly stop: AbortController;
  /** Sends what is waiting to be sent. */
  flush: () => void;
  /** null: nobody pays for it. */
  readonly claiming: Claiming | null;
  /** With its connection: what is said of it now, nobody would understand. */
  lost: boolean;
  readonly ended: Promise<void>;
}

/** Whoever gives a lease back tells why: this code counts against nobody. */
const LEAVING = { code: 'leaving', message: 'its owner wants the device back' } as const;
const OTHER_MODEL = { code: 'leaving', message: 'this device serves another model now' } as const;
const UNPAID = { code: 'unpaid', message: 'the hub does not ask at the price that this device has offered' } as const;
const FULL = { code: 'no-room', message: 'this device is full' } as const;

type Asked = Extract<ToServingPeer, { readonly type: 'answer' }>;

function requestOf({ request }: Asked): AnswerRequest | Failure {
  try {
    return unpackRequest(request, AnswerRequestSchema);
  } catch (error) {
    if (error instanceof ProtocolError) return { code: 'bad-input', message: error.message };
    throw error;
  }
}

export function openServing(options: ServingOptions): Serving {
  return new PoolServing(options);
}

class PoolServing implements Serving {
  readonly #options: ServingOptions;
  readonly #running = new Map<string, Running>();
  readonly #judging: Judging;
  readonly #prices = openOfferedPrices(() => this.#options.clock.elapsed_ms());
  #model: ServedModel | null = null;
  /** Requests that have come over this connection. */
  #heard = 0;
  /** What the hub has last said of an offer. */
  #refused: string | null = null;
  #paused = false;
  #here = false;
  /** Answers that it has written to their end. */
  #written = 0;

  constructor(options: ServingOptions) {
    this.#options = options;
    this.#judging = openJudging(options);
  }

  get running(): number {
    return this.#running.size;
  }

  serve(next: ServedModel | null): void {
    const before = this.#model;
    if (before && (next?.hash !== before.hash || next.quantisation !== before.quantisation)) this.#offer(before, 0);
    this.#model = next;
    this.#offerAgain();
  }

  hear(message: ToServingPeer): void {
    if (message.type === 'answer') this.#begin(message);
    if (message.type === 'embed') this.#beginVectors(message);
    if (message.type === 'judge') this.#judge(message);
    if (message.type === 'answer-stop') {
      const running = this.#running.get(message.lease);
      if (message.took !== undefined) running?.claiming?.took(message.took);
      running?.stop.abort(new Error(message.why));
      this.#judging.stopLease(message.lease);
    }
    if (message.type === 'offer-refused') this.#hearRefusal(message);
  }

  /** Offers are sent again and again; what the hub says of them is news once. */
  #hearRefusal({ code, message }: Extract<ToServingPeer, { readonly type: 'offer-refused' }>): void {
    if (this.#refused !== code) this.#options.onProblem?.(code, message);
    this.#refused = code;
    if (!unpaidCode.safeParse(code).success || !this.#options.onUnpaid) return;
    this.#options.onUnpaid();
    this.#offerAgain();
  }

  welcome(): void {
    this.#stopAll(false); // the hub has given to others what this device had
    this.#here = true;
    this.#heard = 0;
    this.#offerAgain();
  }

  away(): void {
    this.#here = false;
    this.#stopAll(false);
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#stopAll(true);
    this.#offerAgain();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#offerAgain();
  }

  async close(): Promise<void> {
    this.pause();
    this.#here = false;
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
    await this.#judging.stop(null);
  }

  #offer(of: ServedModel, places: number): void {
    if (!this.#here) return;
    const { price_in, price_out, region, send } = this.#options;
    this.#prices.offered({ input_micro: price_in, output_micro: price_out });
    const { hash, quantisation, engine, class: kind, context_tokens, cache_tokens, chat, tools, file } = of;
    const taken_tokens = [...this.#running.values()].reduce((sum, { tokens }) => sum + tokens, 0);
    const free_tokens = Math.max(0, cache_tokens - taken_tokens);
    const energy = this.#options.energy?.();
    send({
      ...(energy && { energy }),
      ...{ type: 'offer', model: hash, quantisation, engine, class: kind, context_tokens, free_tokens, places },
      ...{ chat, tools, heard: this.#heard, price_in, price_out, region, ...(file && { file }) },
      ...(of.embed && { embeddings: true }),
    });
  }

  #offerAgain(): void {
    const model = this.#model;
    if (model) this.#offer(model, this.#paused ? 0 : Math.max(0, model.places - this.#running.size));
  }

  #failed(lease: string, { code, message }: Failure): void {
    const short = message.slice(0, LIMITS.message_characters);
    this.#options.send({ type: 'answer-failed', lease, code, message: short });
  }

  #stopAll(tell: boolean): void {
    void this.#judging.stop(tell ? LEAVING : null);
    for (const [lease, running] of this.#running) {
      const { stop, flush } = running;
      running.lost ||= !tell;
      if (stop.signal.aborted) continue;
      if (tell) {
        flush();
        this.#failed(lease, LEAVING);
      }
      stop.abort(LEAVING);
    }
  }

  /** Why this device does not write what it is asked; null: it does. */
  #refusalOf({ model, quantisation }: Pick<Asked, 'model' | 'quantisation'>): Failure | null {
    if (this.#paused) return LEAVING;
    if (this.#model?.hash !== model || this.#model.quantisation !== quantisation) return OTHER_MODEL;
    return this.#running.size < this.#model.places ? null : FULL;
  }

  #judge(message: Extract<ToServingPeer, { readonly type: 'judge' }>): void {
    const refusal = this.#refusalOf(message);
    if (refusal) this.#failed(message.lease, refusal);
    else this.#judging.begin(message, this.#model!);
  }

  #begin(message: Asked): void {
    if (!this.#takes(message)) return;
    const { lease } = message;
    const request = requestOf(message);
    if ('code' in request) {
      this.#failed(lease, request);
      this.#offerAgain();
      return;
    }
    const model = this.#model!;
    const claiming = this.#claimingOf(message, request);
    this.#run(lease, tokensOf(request, model), (stop) => this.#write(lease, model, request, stop), claiming);
  }

  #beginVectors(message: Extract<ToServingPeer, { readonly type: 'embed' }>): void {
    if (!this.#takes(message)) return;
    const { lease } = message;
    const model = this.#model!;
    this.#run(lease, model.context_tokens, async (stop) => {
      try {
        await this.#makeRoom(model);
        await sendVectors(message, model, this.#options, stop);
      } catch (error) {
        if (!stop.aborted) this.#tellFailure(lease, error);
      }
    });
  }

  /** Counts a request and says that it has come; false: it is given back, or was given before. */
  #takes(message: Pick<Asked, 'lease' | 'model' | 'quantisation' | 'pay'>): boolean {
    const { lease } = message;
    this.#heard++;
    if (this.#running.has(lease)) return false; // a hub that gives a lease twice
    const refusal = this.#refusalOf(message) ?? (this.#prices.of(message.pay) ? null : UNPAID);
    if (refusal === null) {
      this.#options.send({ type: 'answer-taken', lease });
      return true;
    }
    this.#failed(lease, refusal);
    this.#offerAgain();
    return false;
  }

  #run(
    lease: string,
    tokens: number,
    work: (stop: AbortSignal) => Promise<void>,
    claiming: Claiming | null = null,
  ): void {
    const stop = new AbortController();
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    this.#running.set(lease, { tokens, stop, flush() {}, claiming, lost: false, ended });
    this.#tellAnswers();
    void work(stop.signal).finally(() => {
      this.#running.delete(lease);
      this.#tellAnswers();
      resolve();
      this.#offerAgain();
    });
  }

  #tellAnswers(): void {
    this.#options.onAnswers?.(this.#running.size, this.#written);
  }

  #claimingOf({ lease, pay, model, quantisation }: Asked, request: AnswerRequest): Claiming | null {
    const price = this.#prices.of(pay);
    if (!pay || !price) return null;
    const { identity, clock, send } = this.#options;
    return openClaiming({
      ...{ identity, pay, request, model, quantisation, price },
      now_ms: () => clock.elapsed_ms(),
      send: (claim) => {
        const running = this.#running.get(lease);
        if (!running || running.lost) return;
        running.flush();
        send({ type: 'answer-claim', lease, claim });
      },
    });
  }

  async #write(lease: string, model: ServedModel, request: AnswerRequest, stop: AbortSignal): Promise<void> {
    const { clock, send, rested, worked } = this.#options;
    const { claiming } = this.#running.get(lease)!;
    const flush_ms = (): number => Math.max(LIMITS.flush_ms, (1000 * this.#running.size) / LIMITS.messages_per_second);
    const sender = openSender(lease, request, { clock, flush_ms }, (message) => {
      if (!stop.aborted) send(message);
    });
    this.#running.get(lease)!.flush = sender.flush;
    try {
      await this.#makeRoom(model);
      await rested?.();
      let calls = 0;
      for await (const event of model.answer(request, stop)) {
        if (stop.aborted) return;
        if (event.kind === 'tool_call') calls++;
        mustFit(event, calls);
        sender.put(event);
        claiming?.heard(event);
        if (event.kind === 'ended') this.#written++;
        if (event.kind === 'token') this.#options.onToken?.();
        if (event.kind === 'begun' && request.written.length === 0) this.#options.onPrompt?.(event.prompt_tokens);
        await worked?.();
      }
    } catch (error) {
      if (stop.aborted) return;
      sender.flush();
      this.#tellFailure(lease, error);
    } finally {
      sender.close();
      await claiming?.end();
    }
  }

  /** Judging has the place that nobody needed: whoever is answered goes before. */
  async #makeRoom({ places }: ServedModel): Promise<void> {
    if (this.#running.size >= places) await this.#judging.stop(FULL);
  }

  #tellFailure(lease: string, error: unknown): void {
    const isOurs = error instanceof ServingError;
    this.#failed(lease, isOurs ? error : { code: 'engine-ended', message: 'the engine of this device has failed' });
    if (isOurs && error.code !== 'engine-ended') return;
    this.#options.onProblem?.('serving', `an answer broke off: ${(error as Error).message}`);
  }
}

/** How much of the cache an answer may come to need: a character of a prompt is a token at most, or nearly so. */
function tokensOf({ prompt, max_tokens }: AnswerRequest, { context_tokens }: ServedModel): number {
  const read = prompt.kind === 'ids' ? prompt.ids.length : prompt.kind === 'text' ? prompt.text.length : context_tokens;
  return Math.min(context_tokens, read + max_tokens);
}
