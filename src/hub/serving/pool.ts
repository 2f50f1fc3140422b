// The pool: answers callers through devices that ask for work over their sockets and may vanish. It acts on plan.ts; an answer's text goes from
// a device to its caller, and is kept nowhere.
import { bytesToHex } from '@noble/hashes/utils.js';
import type { Clock } from '../../protocol/clock.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import type { Fleet } from '../../protocol/fleet.ts';
import { packRequest } from '../../protocol/serving-bytes.ts';
import type { FromServingPeer, Offer } from '../../protocol/serving-from-peer.ts';
import type { UnpaidCode } from '../../protocol/serving-messages.ts';
import type { AnswerEvent, AnswerRequest, AnswerServer } from '../../serving/answers.ts';
import { ServingError } from '../../serving/errors.ts';
import type { ServedModel } from '../../serving/provider-document.ts';
import { Answer, type AnswerServices, judgeTaskOf, type Lease, type LeaseEnd, type PoolKnown } from './answer.ts';
import { openAnswerStream } from './answer-stream.ts';
import type { Caller, Ticket } from './caller.ts';
import { type Devices, type ModelKey, modelKey, openDevices, type PoolConnection, type PoolDevice } from './devices.ts';
import { Embeds } from './embeds.ts';
import { fleetOf } from './fleet.ts';
import { judgedKey } from './judged-sums.ts';
import { type JudgedBy, Judges } from './judges.ts';
import { LastWords } from './last-words.ts';
import { hearOfLease, type OfLease } from './lease-words.ts';
import { type Asked, lookAt } from './look.ts';
import { lookLater, RETRY } from './look-later.ts';
import { type KnownModel, modelNamed, type OfferOf, offeredModels, type PoolModel } from './models.ts';
import { isFree, Payments, type PaymentsOptions, type Prices } from './payments.ts';
import type { LeaseReason } from './plan.ts';
import { openPoolHistory, type PoolHistory } from './pool-history.ts';
import type { PoolCounts } from './pool-metrics.ts';
import type { WorkKnown } from './rank.ts';
import { checkRequest, openTokenRates, prefixOf, takesPart } from './request.ts';
import { servedModels } from './served-models.ts';
import { takeOffer } from './take-offer.ts';

export const POOL_LIMITS = {
  answers: 2000, // that are written at the same time: twice what a gateway on two cores is built for
  rates: 64, // models of which it is remembered how many tokens their texts have
} as const;

const LEFT = { code: 'gone', message: 'the device is gone' };

export interface PoolOptions extends JudgedBy {
  readonly clock: Clock;
  readonly randomBytes: (length: number) => Uint8Array;
  /** The models that devices may offer, the newest of each name first. */
  models(): readonly KnownModel[];
  /** The owner that vouches for a device, by the log; null: nobody, or not any more. */
  ownerOf(peer: string): string | null;
  readonly counts: PoolCounts;
  /** How answers are paid; missing: nobody is charged, whatever devices ask. */
  readonly payments?: Omit<PaymentsOptions, 'clock'>;
}

export interface Pool {
  /** The pool as one kind of callers may use it. @param ticketOf who pays for a request; null: nobody, so that only free devices serve */
  serverFor(caller: Caller, ticketOf?: (request: AnswerRequest) => Ticket | null): AnswerServer;
  /** Who serves what, as it was measured. */
  fleet(): Fleet;
  /** What callers may ask for, as marketplaces read it. @param caller those that they send */
  served(caller: Caller): ServedModel[];
  /** What a device says. Throws ProtocolError `malformed`. */
  hear(connection: PoolConnection, message: FromServingPeer): void;
  gone(connection: PoolConnection): void;
  /** What callers are waiting for ends with an error that says so; resolves when what devices have claimed is kept. */
  close(): Promise<void>;
}

export function openPool(options: PoolOptions): Pool {
  const history = openPoolHistory(options.clock, options.counts);
  return new LeasingPool({ ...options, counts: history.counts }, history);
}

class LeasingPool implements Pool {
  readonly #options: PoolOptions;
  readonly #history: PoolHistory;
  readonly #devices: Devices;
  readonly #judges: Judges;
  readonly #answers = new Map<Answer, Asked>();
  /** Answers that a device with room could help. */
  readonly #wanting = new Set<Answer>();
  readonly #leases = new Map<string, Lease>();
  readonly #lastWords = new LastWords();
  readonly #embeds: Embeds;
  readonly #rate = openTokenRates(POOL_LIMITS.rates);
  readonly #payments: Payments | null;
  #closed = false;
  readonly #services: AnswerServices;
  readonly #unpaid = (peer: string, offer: Prices): UnpaidCode | null => this.#payments?.unpaid(peer, offer) ?? null;
  readonly #newLease = (): string => bytesToHex(this.#options.randomBytes(8));

  constructor(options: PoolOptions, history: PoolHistory) {
    this.#options = options;
    this.#history = history;
    this.#devices = openDevices(() => options.clock.elapsed_ms());
    this.#services = {
      clock: options.clock,
      look: (answer) => this.#look(answer),
      lease: (answer, device, why) => this.#lease(answer, device, why),
      end: (lease, how, why) => this.#endLease(lease, how, why),
      wants: (answer, wants) => void (wants ? this.#wanting.add(answer) : this.#wanting.delete(answer)),
    };
    this.#payments = options.payments ? new Payments({ clock: options.clock, ...options.payments }) : null;
    this.#embeds = new Embeds({
      ...{ ...options, devices: this.#devices, newLease: this.#newLease },
      leaseEnded: (connection, lease, why) => this.#forget(connection, lease, why, undefined),
    });
    this.#judges = new Judges({
      ...{ ...options, devices: this.#devices, newLease: this.#newLease },
      busy: (key) => [...this.#wanting].some((one) => one.leases.length === 0 && this.#answers.get(one)?.key === key),
      leaseEnded: ({ connection }, lease, why) => this.#forget(connection, lease, why, undefined),
      convict: (device) => this.#convict(device),
    });
    options.counts.watch({
      devices: () => this.#devices.all.size,
      answers: () => this.#answers.size,
      wanting: () => this.#wanting.size,
      leases: () => this.#leases.size,
      judging: () => this.#judges.kept.cases,
      judging_bytes: () => this.#judges.kept.bytes,
      paying: () => this.#payments?.open ?? 0,
    });
  }

  serverFor(caller: Caller, ticketOf: (request: AnswerRequest) => Ticket | null = () => null): AnswerServer {
    return {
      models: () => offeredModels(this.#options.models(), this.#offers(caller), this.#options.ownerOf),
      answer: (request, signal) => this.#answer(request, caller, ticketOf(request), signal),
      embed: async ({ model, inputs }, signal) => {
        const { offered: offer } = this.#found(model, caller);
        const rate = this.#rate(modelKey(offer));
        const may = (device: PoolDevice, theirs: Offer): boolean =>
          this.#may(device, theirs, caller) && (!this.#payments || isFree(theirs)); // no claim is of vectors
        return this.#embeds.make({ inputs, offer, rate, region: caller.region, may }, signal);
      },
    };
  }

  served(caller: Caller): ServedModel[] {
    const { models, ownerOf, payments } = this.#options;
    const around = { devices: this.#devices, unpaid: this.#unpaid, uptime: this.#history.uptime };
    return servedModels({ ...around, models: models(), offers: this.#offers(caller), ownerOf, split: payments?.split });
  }

  fleet(): Fleet {
    const writing = [...this.#leases.values()].map(
      ({ device, answer }) => `${device.connection.number} ${this.#answers.get(answer)?.key}`,
    );
    return fleetOf(this.#devices, this.#options.models(), {
      ...{ writing, answers: this.#answers.size, day: this.#history.day() },
      unpaid: this.#unpaid,
    });
  }

  hear(connection: PoolConnection, message: FromServingPeer): void {
    if (this.#closed) return;
    const device = this.#devices.all.get(connection.number);
    const speaksAgain = device?.silent === true;
    if (device) device.silent = false;
    if (message.type === 'offer') this.#hearOffer(connection, message);
    else if (message.type === 'embedded' || message.type === 'embed-ended') {
      if (!this.#embeds.hear(connection, message)) this.#lastWords.hear(connection.number, message.lease);
    } else if (message.type === 'judged') {
      if (!this.#judges.hear(connection, message)) this.#lastWords.hear(connection.number, message.lease);
    } else if (message.type === 'answer-claim') this.#hearClaim(connection, message);
    else if (message.type !== 'answer-failed' || !this.#judges.hear(connection, message)) {
      this.#hearAnswer(connection, message);
    }
    if (device && speaksAgain) for (const key of device.offers.keys()) this.#driveWanting(device, key);
  }

  #hearAnswer(connection: PoolConnection, message: OfLease): void {
    const isForVectors = message.type === 'answer-taken' || message.type === 'answer-failed';
    if (isForVectors && this.#embeds.hear(connection, message)) return;
    const lease = this.#leases.get(message.lease);
    if (lease?.device.connection !== connection) {
      this.#lastWords.hear(connection.number, message.lease);
      return;
    }
    const { key } = this.#answers.get(lease.answer)!;
    const { clock, counts } = this.#options;
    const around = { now_ms: clock.elapsed_ms(), key, devices: this.#devices, rate: this.#rate(key), counts };
    const wrong = hearOfLease(lease, message, around);
    if (wrong !== null) this.#broken(lease.device, lease, `${message.type}: ${wrong}`);
    if (message.type === 'answer-begun' && this.#leases.has(message.lease))
      this.#begun(lease.answer, message.prompt_tokens);
  }

  #hearClaim(connection: PoolConnection, { lease: id, claim }: FromServingPeer & { type: 'answer-claim' }): void {
    const wrong = this.#payments?.hear(connection, id, claim);
    if (wrong === undefined) this.#lastWords.hear(connection.number, id);
    else if (wrong !== null) {
      this.#broken(this.#devices.all.get(connection.number)!, this.#leases.get(id), `answer-claim: ${wrong}`);
    }
  }

  /** A device does not keep to the form of answers. */
  #broken(device: PoolDevice, lease: Lease | undefined, words: string): never {
    this.#devices.distrust(device);
    lease?.answer.broken(lease, 'malformed');
    throw new ProtocolError('malformed', words);
  }

  /** The caller's credit is held for the very prompt from here on; where there is too little, nothing was written yet. */
  #begun(answer: Answer, prompt_tokens: number): void {
    const refusal = this.#answers.get(answer)?.bill?.begun(prompt_tokens);
    if (refusal) answer.stream.fail(refusal);
    answer.drive();
  }

  gone(connection: PoolConnection): void {
    const device = this.#devices.all.get(connection.number);
    if (!device) return;
    this.#options.clock.clearTimeout(device.telling);
    this.#devices.gone(connection);
    this.#lastWords.gone(connection.number);
    this.#judges.gone(connection);
    this.#embeds.gone(connection);
    const left = [...this.#leases.values()].filter((lease) => lease.device === device);
    for (const lease of left) {
      // One answer may have had it twice: the first end may have ended the second.
      if (this.#leases.has(lease.id)) lease.answer.failed(lease, LEFT, false);
    }
    this.#payments?.gone(connection);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#judges.close();
    const words = 'the hub goes down: what has come of the answer is right, the rest has to be asked for again';
    for (const answer of this.#answers.keys()) {
      answer.stream.fail(new ServingError('interrupted', words));
      answer.close('hub-closes');
    }
    await this.#payments?.close();
  }

  async *#answer(
    request: AnswerRequest,
    caller: Caller,
    ticket: Ticket | null,
    signal: AbortSignal,
  ): AsyncGenerator<AnswerEvent> {
    signal.throwIfAborted();
    const { counts, clock } = this.#options;
    if (this.#closed) throw new ServingError('interrupted', 'the hub goes down');
    if (this.#answers.size >= POOL_LIMITS.answers) {
      const details = { retry_after_ms: 4 * RETRY.least_ms };
      throw new ServingError('no-room', `the pool writes ${POOL_LIMITS.answers} answers already`, details);
    }
    const found = this.#found(request.model, caller);
    checkRequest(request, found);
    const answer = new Answer(
      openAnswerStream(request, () => answer.drive()),
      this.#services,
    );
    const { offered: offer, context_tokens, run } = found;
    const key = modelKey(offer);
    const those = [...this.#devices.with(key)].map((device) => [device, device.offers.get(key)!.offer] as const);
    const offers = those.flatMap(([device, one]) => (this.#may(device, one, caller) ? [one] : []));
    const about = { ticket, request, stream: answer.stream, context_tokens, run };
    const bill = this.#payments?.bill(about, offers) ?? null;
    const prefix = prefixOf(request.prompt);
    this.#answers.set(answer, { key, judged_of: judgedKey(offer, run), offer, caller, prefix, bill });
    const begun_ms = clock.elapsed_ms();
    let how = 'left';
    try {
      answer.drive();
      for (let event = await answer.stream.next(signal); event; event = await answer.stream.next(signal)) {
        if (event.kind === 'token' && how === 'left') {
          how = 'cut';
          counts.firstToken((clock.elapsed_ms() - begun_ms) / 1000);
        }
        if (event.kind === 'ended') how = 'whole';
        yield event;
      }
    } catch (error) {
      if (error instanceof ServingError) how = error.code;
      throw error;
    } finally {
      counts.answer(how === 'cut' ? 'left' : how, key);
      answer.close('caller-gone');
      bill?.close();
      this.#answers.delete(answer);
    }
  }

  #found(name: string, caller: Caller): PoolModel {
    const { models, ownerOf } = this.#options;
    const found = modelNamed(name, models(), this.#offers(caller), ownerOf);
    if (found) return found;
    throw new ServingError('unknown-model', `no device that may serve this caller offers ${name} now`);
  }

  /** What devices offer that may serve a caller. */
  *#offers(caller: Caller): Iterable<OfferOf> {
    for (const device of this.#devices.all.values()) {
      const { peer, offers } = device;
      for (const { offer } of offers.values()) if (this.#may(device, offer, caller)) yield { peer, offer };
    }
  }

  #may({ peer }: PoolDevice, offer: Offer, { owners, most_price }: Caller): boolean {
    if (most_price !== null && Math.max(offer.price_in, offer.price_out) > most_price) return false;
    if (owners === null) return true;
    const owner = this.#options.ownerOf(peer);
    return owner !== null && owners.has(owner);
  }

  /** How much an answer needs of a device from here on. */
  #workOf(answer: Answer, { key }: Asked): WorkKnown {
    const { request, written, prompt_tokens, left_tokens } = answer.stream;
    const prompt = prompt_tokens ?? this.#rate(key).estimate(request.prompt);
    return { read_tokens: prompt + written.length, left_tokens, class: answer.class, usual: this.#devices.usual(key) };
  }

  #look(answer: Answer): PoolKnown {
    const asked = this.#answers.get(answer)!;
    const may = (device: PoolDevice, offer: Offer): boolean => this.#may(device, offer, asked.caller);
    return lookLater(() => lookAt(answer, asked, this.#workOf(answer, asked), { devices: this.#devices, may }), {
      waits: () => [...this.#wanting].some((other) => other !== answer && other.leases.length === 0),
      answers: () => [...this.#answers].flatMap(([one, { key: of }]) => (of === asked.key ? [one] : [])),
    });
  }

  #lease(answer: Answer, number: string, why: LeaseReason): Lease {
    const { clock, counts } = this.#options;
    counts.lease(why);
    const asked = this.#answers.get(answer)!;
    const { key, offer, prefix, bill } = asked;
    const device = this.#devices.all.get(number)!;
    const { read_tokens, left_tokens } = this.#workOf(answer, asked);
    const offered = device.offers.get(key)!.offer;
    const lease: Lease = {
      ...{ id: this.#newLease(), device, answer, read_tokens },
      ...{ from: answer.stream.written.length, logprobs: [], ending: null },
      cursor: answer.stream.cursor(offered.context_tokens),
      ...{ sent_ms: clock.elapsed_ms(), taken_ms: null, first_ms: null, last_ms: null, tokens: 0 },
      usual: this.#devices.usualOf(device, key, read_tokens),
    };
    this.#leases.set(lease.id, lease);
    this.#devices.given(device, key, Math.min(read_tokens + left_tokens, offered.context_tokens), prefix);
    const pay = bill?.lease({ ...lease, offer: offered });
    const request = packRequest(answer.stream.rest());
    device.connection.tell({ type: 'answer', lease: lease.id, ...offer, request, ...(pay && { pay }) });
    return lease;
  }

  #endLease(lease: Lease, how: LeaseEnd, why: string | null): void {
    const { id, device, answer } = lease;
    this.#leases.delete(id);
    this.#options.counts.leaseEnded(how);
    if (how !== 'neither') this.#devices.ended(device, how === 'well');
    const took = this.#payments?.over(id, lease.ending !== null, why === 'malformed' || why === 'refused');
    this.#forget(device.connection, id, why, took);
    const { key, judged_of: of, offer, caller } = this.#answers.get(answer)!;
    const task = judgeTaskOf(lease);
    const decided = (refused: boolean): void => this.#payments?.decided(id, refused);
    if (!task || this.#closed) return void decided(false);
    // Whoever the caller does not want to see the request does not judge it either; a price it does not pay.
    const may = (judge: PoolDevice): boolean => {
      const { offer: theirs } = judge.offers.get(key)!;
      return takesPart(theirs, task.request.prompt) && this.#may(judge, theirs, { ...caller, most_price: null });
    };
    this.#judges.written({ device, key, of, offer, prompt_tokens: answer.stream.prompt_tokens!, task, may, decided });
  }

  /** A device may say a little more of a lease that has ended. */
  #forget(connection: PoolConnection, lease: string, why: string | null, took: number | undefined): void {
    if (!this.#devices.all.has(connection.number)) return;
    this.#lastWords.ended(connection.number, lease);
    if (why === null) return;
    connection.tell({ type: 'answer-stop', lease, why, ...(took !== undefined && { took }) });
  }

  /** What a device does not write well, others go on with. */
  #convict({ peer }: PoolDevice): void {
    for (const lease of [...this.#leases.values()]) {
      if (lease.device.peer === peer && this.#leases.has(lease.id)) lease.answer.broken(lease, 'refused');
    }
  }

  #hearOffer(connection: PoolConnection, offer: Offer): void {
    const { clock, models } = this.#options;
    const device = takeOffer(connection, offer, { clock, devices: this.#devices, models, unpaid: this.#unpaid });
    if (!device) return;
    this.#driveWanting(device, modelKey(offer));
    this.#judges.look(device);
  }

  /** A device may have room that answers wait for. */
  #driveWanting(device: PoolDevice, key: ModelKey): void {
    for (const answer of [...this.#wanting]) {
      if (this.#devices.placesOf(device, key) <= 0) return;
      if (this.#answers.get(answer)?.key === key) answer.drive();
    }
  }
}
