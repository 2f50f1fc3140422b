// A history of paid answers: the hub's real pool, payments, receipts and log, and devices that run the real code of peers, on one clock. Devices die,
// leave and lie, callers go away, and the hub is killed between claim, receipt, blob, event and note. What was settled in the end must be right.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeEvent } from '../core/codec.ts';
import { receiptsIn } from '../core/serving/batch.ts';
import { creditLeft } from '../core/serving/credit.ts';
import { paidProblems } from '../core/serving/paid-invariants.ts';
import { openSequencer, type Sequencer } from '../hub/sequencer.ts';
import { ANY_DEVICE } from '../hub/serving/caller.ts';
import { openPool, type Pool } from '../hub/serving/pool.ts';
import { NO_COUNTS } from '../hub/serving/pool-metrics.ts';
import { mayEarn, openReceipts, type Receipts } from '../hub/serving/receipts.ts';
import { limitsBy } from '../hub/serving/verdict.ts';
import { createMemoryBlobStore } from '../ledger/blob-store.ts';
import { createMemoryLogStore } from '../ledger/testing/memory-log.ts';
import { type AnswerReceipt, answerHash, openReceipt, RECEIPT_MINUTE_MS } from '../protocol/answer-receipt.ts';
import { encodeMessage } from '../protocol/encode-message.ts';
import { decodeFromPeer } from '../protocol/from-peer.ts';
import type { Identity } from '../protocol/identity.ts';
import { type Random, seededRandom } from '../protocol/random.ts';
import type { FromServingPeer } from '../protocol/serving-from-peer.ts';
import { bindingOf, hashOf, person } from '../protocol/testing/example-receipt.ts';
import { handClock } from '../protocol/testing/hand-clock.ts';
import type { AnswerRequest } from '../serving/answers.ts';
import { chargeOf, chargeOver } from '../serving/price.ts';
import { MODEL, PaidDevice, type Saying } from './paid-device.ts';

const SPLIT = { holders_permille: 0, gateway_permille: 30 } as const;
/** What rounding adds to the highest charge of an answer: three micro-credits for each of 64 parts. */
const ROUNDING_MICRO = 3 * 64;
const ANSWERS = 5;
const DEVICES = 3;
const CALLERS = 2;
/** After this, no judge and no claim is waited for any more. */
const QUIET_MS = 140_000;

interface Asked {
  readonly account: string;
  readonly request: string;
  readonly salt: Uint8Array;
  readonly prompt_tokens: number;
  readonly most_micro: number;
  /** What the caller has read, and whether anything has happened after which less may be paid for than that. */
  readonly ids: number[];
  disturbed: boolean;
  whole: boolean;
}

/** The violated property; null if there is none. */
export async function playPaid(seed: number): Promise<string | null> {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-paid-'));
  try {
    const world = new PaidWorld(seed, join(folder, 'receipts.sqlite'));
    await world.begin();
    await world.play();
    return await world.problem();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One life of the hub: nothing that it still has under way does anything after its death. */
interface Life {
  readonly sequencer: Sequencer;
  readonly receipts: Receipts;
  readonly pool: Pool;
  dead: boolean;
}

class PaidWorld {
  readonly #random: Random;
  readonly #path: string;
  readonly #clock = handClock(1_000_000);
  readonly #log = createMemoryLogStore();
  readonly #blobs = createMemoryBlobStore();
  readonly #hub = person(1);
  readonly #problems: string[] = [];
  readonly #asked: Asked[] = [];
  /** Parts that the hub has said it has a receipt of. */
  readonly #told = new Set<string>();
  readonly #devices: PaidDevice[] = [];
  #life!: Life;
  /** At the end, the hub lives long enough to settle what there is. */
  #immortal = false;

  constructor(seed: number, path: string) {
    this.#random = seededRandom('paid answers', seed);
    this.#path = path;
  }

  async begin(): Promise<void> {
    const sequencer = openSequencer(this.#log, this.#hub);
    const prices = Array.from({ length: DEVICES }, () => [1, 2, 5][this.#random.below(3)] * 1_000_000);
    for (const [i, price] of prices.entries()) {
      const identity = person(10 + i);
      await sequencer.submit(await bindingOf(person(3), identity));
      const lies = i === DEVICES - 1 ? this.#random.below(5) : 0;
      this.#devices.push(new PaidDevice(identity, price, lies, this.#clock, (say) => this.#hear(say)));
    }
    await sequencer.write({ type: 'tick', version: 1, time_ms: 5 * RECEIPT_MINUTE_MS });
    for (let i = 0; i < CALLERS; i++) {
      const amount_micro = 400 + this.#random.below(3000);
      await sequencer.write({ type: 'credit.granted', version: 1, account: hashOf(`${i}`), number: 0, amount_micro });
    }
    await this.#live();
  }

  async play(): Promise<void> {
    const reading: Promise<void>[] = [];
    for (let i = 0; i < ANSWERS; i++) {
      reading.push(this.#read(i));
      for (let step = 0; step < 3; step++) {
        await this.#clock.pass(this.#random.below(900));
        await this.#happen();
      }
    }
    await this.#clock.run(Promise.all(reading));
    await this.#clock.pass(QUIET_MS);
    this.#immortal = true;
    await this.#clock.pass(QUIET_MS);
    while ((await this.#life.receipts.settle()) !== null);
  }

  /** What is wrong in the end, in words. */
  async problem(): Promise<string | null> {
    const { sequencer, receipts } = this.#life;
    const [money] = paidProblems(sequencer.state);
    if (money) return money;
    if (this.#problems.length > 0) return this.#problems[0];
    const settled: AnswerReceipt[] = [];
    for (const bytes of this.#log.read(0, this.#log.size)) {
      const { body } = decodeEvent(bytes, { verify_signature: false });
      if (body.type !== 'answers.settled') continue;
      for (const receipt of receiptsIn((await this.#blobs.get(body.blob))!)) settled.push(openReceipt(receipt));
    }
    const parts = settled.map(({ request, part }) => `${request} ${part}`);
    if (new Set(parts).size !== parts.length) return 'a part of an answer was settled twice';
    const lost = [...this.#told].find((part) => !parts.includes(part));
    if (lost) return `a receipt that was taken was never settled: ${lost}`;
    for (const asked of this.#asked) {
      const wrong = this.#wrongOf(
        asked,
        settled.filter(({ request }) => request === asked.request),
      );
      if (wrong) return `answer ${asked.request.slice(0, 8)}: ${wrong}`;
    }
    for (let i = 0; i < CALLERS; i++) {
      const [free, left] = [receipts.available(hashOf(`${i}`)), creditLeft(sequencer.state, hashOf(`${i}`))];
      if (free !== left) return `${left - free} micro-credits of a caller are held for nothing`;
    }
    return null;
  }

  #wrongOf(
    { account, salt, prompt_tokens, most_micro, ids, disturbed, whole }: Asked,
    paid: AnswerReceipt[],
  ): string | null {
    const sum = (of: (receipt: AnswerReceipt) => number): number => paid.reduce((all, one) => all + of(one), 0);
    if (paid.some(({ caller }) => caller !== account)) return 'another account has paid';
    if (sum(({ charge_micro }) => charge_micro) > most_micro) return 'more was paid than was held';
    if (sum(({ input_tokens }) => Number(input_tokens > 0)) > 1) return 'the prompt was paid twice';
    if (paid.some(({ input_tokens }) => input_tokens > prompt_tokens)) return 'a longer prompt was paid';
    for (const { device, input_tokens, output_tokens, earns_micro, answer } of paid) {
      const price = this.#devices.find(({ identity }) => identity.id === device)!.price_micro;
      const earned_micro = chargeOf({ input_micro: price, output_micro: price }, input_tokens, output_tokens);
      if (earns_micro !== earned_micro) return `a device got ${earns_micro} for what costs ${earned_micro}`;
      const isThere = ids.some((_, from) => answerHash(salt, ids.slice(from, from + output_tokens)) === answer);
      if (!isThere && output_tokens > 0 && whole) return 'tokens were paid that the caller has not got';
    }
    const tokens = sum(({ output_tokens }) => output_tokens);
    if (whole && tokens > ids.length) return `${tokens} tokens were paid, the caller got ${ids.length}`;
    if (whole && !disturbed && tokens !== ids.length) return `${tokens} of ${ids.length} tokens were paid`;
    return null;
  }

  async #read(number: number): Promise<void> {
    const random = this.#random;
    const [prompt_tokens, max_tokens] = [1 + random.below(20), 1 + random.below(100)];
    const leaves_at = random.below(3) === 0 ? random.below(80) : Number.POSITIVE_INFINITY;
    const dearest = Math.max(...this.#devices.map(({ price_micro }) => price_micro));
    const earns_micro = chargeOf({ input_micro: dearest, output_micro: dearest }, prompt_tokens, max_tokens);
    const { gateway_micro } = chargeOver(earns_micro, SPLIT);
    const asked: Asked = {
      ...{ account: hashOf(`${random.below(CALLERS)}`), request: hashOf(`request ${number}`), prompt_tokens },
      ...{ salt: new Uint8Array(32).fill(number), most_micro: earns_micro + gateway_micro + ROUNDING_MICRO },
      ...{ ids: [], disturbed: false, whole: false },
    };
    this.#asked.push(asked);
    const leaving = new AbortController();
    const ids = Array.from({ length: prompt_tokens }, (_, i) => i);
    try {
      const server = this.#life.pool.serverFor(ANY_DEVICE, () => asked);
      for await (const event of server.answer(requestOf(number, ids, max_tokens), leaving.signal)) {
        if (event.kind === 'token') asked.ids.push(event.id);
        if (event.kind === 'ended') asked.whole = true;
        if (asked.ids.length >= leaves_at) leaving.abort(new Error('gone'));
      }
    } catch {
      // The caller has gone, nobody can write it, or its credit is used up.
    }
  }

  async #happen(): Promise<void> {
    const random = this.#random;
    const device = this.#devices[random.below(DEVICES)];
    const what = random.below(8);
    if (what === 0) {
      this.#disturb();
      device.die();
    } else if (what === 1) device.serving.pause();
    else if (what === 2) device.serving.resume();
    else if (what === 3) await this.#kill();
    else if (what === 4) this.#life.receipts.settle().catch((error) => this.#problems.push(String(error)));
    if (random.below(2) === 0) for (const one of this.#devices) one.serving.resume();
  }

  /** From here on, answers in the making may be paid for less than was delivered. */
  #disturb(): void {
    for (const asked of this.#asked) asked.disturbed = true;
  }

  async #kill(): Promise<void> {
    this.#disturb();
    this.#life.dead = true;
    await this.#live();
  }

  #hear({ connection, message }: Saying): void {
    if (message.type !== 'offer') {
      // A liar disturbs what it writes itself.
      if (this.#devices.some(({ peer, lies }) => peer === connection.peer && lies > 0)) this.#disturb();
    }
    try {
      this.#life.pool.hear(connection, decodeFromPeer(encodeMessage(message)) as FromServingPeer);
    } catch (error) {
      const liar = this.#devices.find(({ peer }) => peer === connection.peer)!.lies > 0;
      if (!liar) this.#problems.push(`an honest device is refused: ${(error as Error).message}`);
    }
  }

  /** The hub begins a life with what is on its disk. */
  async #live(): Promise<void> {
    const never = new Promise<never>(() => {});
    const life = { dead: false } as Life;
    const sequencer = openSequencer(this.#log, this.#hub);
    /** Dies at a point with a small chance, before or after something is done. */
    const dying = async <T>(work: () => Promise<T>): Promise<T> => {
      if (life.dead) return never;
      const fate = this.#immortal ? 2 : this.#random.below(24);
      if (fate === 0) this.#dieSoon(life);
      if (life.dead) return never;
      const done = await work();
      if (fate === 1) this.#dieSoon(life);
      return life.dead ? never : done;
    };
    const identity: Identity = { id: this.#hub.id, sign: (message) => dying(() => this.#hub.sign(message)) };
    const onProblem = (error: unknown): void => {
      if (!life.dead) this.#problems.push(`unpaid: ${(error as Error).message}`);
    };
    const receipts = await openReceipts({
      ...{ path: this.#path, identity, log: this.#log, clock: this.#clock, onProblem },
      sequencer: { state: sequencer.state, write: (body) => dying(() => sequencer.write(body)) },
      blobs: {
        put: (bytes) => dying(() => this.#blobs.put(bytes)),
        get: (hash) => this.#blobs.get(hash),
      },
    });
    const pool = openPool({
      ...{
        clock: this.#clock,
        counts: NO_COUNTS,
        ownerOf: (peer) => peer,
        limitsOf: ({ quantisation }) => limitsBy(undefined, quantisation),
        decided() {},
      },
      randomBytes: (length) => Uint8Array.from({ length }, () => this.#random.below(256)),
      models: () => [{ hash: MODEL, names: ['poems'], created_ms: 0, licence: null, run: null }],
      payments: {
        ...{ gateway: this.#hub.id, split: SPLIT, charges: true, onProblem },
        ...{ mayEarn: (peer) => mayEarn(sequencer.state, peer) },
        receipts: {
          available: (account) => receipts.available(account),
          reserve: (account, most_micro) => receipts.reserve(account, most_micro),
          add: async (...about) => {
            const receipt = await receipts.add(...about);
            this.#told.add(`${receipt.request} ${receipt.part}`);
            return receipt;
          },
        },
      },
    });
    Object.assign(life, { sequencer, receipts, pool });
    this.#life = life;
    for (const device of this.#devices) device.come();
  }

  /** A death in the middle of something: what has called must not go on, so that the new life begins a little later. */
  #dieSoon(life: Life): void {
    if (life !== this.#life) return;
    this.#disturb();
    life.dead = true;
    this.#clock.setTimeout(() => void (this.#life === life && this.#live()), 1);
  }
}

const requestOf = (number: number, ids: number[], max_tokens: number): AnswerRequest => ({
  ...{ model: 'poems', prompt: { kind: 'ids', ids }, written: [], max_tokens, stop: [], echo: false },
  sampling: {
    ...{ seed: 's'.repeat(number + 1), temperature: 1, top_p: 1, presence_penalty: 0, frequency_penalty: 0 },
    logit_bias: [],
  },
  ...{ top_logprobs: null, format: { kind: 'text' } },
});
