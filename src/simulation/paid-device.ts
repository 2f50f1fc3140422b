// A device of the simulated paid answers: the peers' own code, with a model that writes what follows from seed and position, and lies where it is to.
import { openServing, type ServedModel } from '../peer/serving.ts';
import { openClaim, signClaim } from '../protocol/answer-receipt.ts';
import type { Identity } from '../protocol/identity.ts';
import type { FromServingPeer } from '../protocol/serving-from-peer.ts';
import type { ToServingPeer } from '../protocol/serving-messages.ts';
import type { handClock } from '../protocol/testing/hand-clock.ts';

export const MODEL = 'ab'.repeat(32);
const idAt = (seed: string, position: number): number => (Math.imul(position + 1, 0x9e3779b1) ^ seed.length) >>> 12;

interface Connection {
  readonly number: string;
  readonly peer: string;
  tell(message: ToServingPeer): void;
}
export interface Saying {
  readonly connection: Connection;
  readonly message: FromServingPeer;
}

/** A device with the peers' own code, whose model writes what follows from seed and position. */
export class PaidDevice {
  readonly identity: Identity;
  readonly price_micro: number;
  /** How it lies in its claims; 0: it does not. */
  readonly lies: number;
  readonly serving;
  readonly #clock;
  #connections = 0;
  #here: Connection;

  constructor(
    identity: Identity,
    price_micro: number,
    lies: number,
    clock: ReturnType<typeof handClock>,
    say: (saying: Saying) => void,
  ) {
    this.identity = identity;
    this.price_micro = price_micro;
    this.lies = lies;
    this.#clock = clock;
    this.#here = this.#connect();
    this.serving = openServing({
      ...{ identity, clock, price_in: price_micro, price_out: price_micro, region: null },
      send: (message) => {
        const connection = this.#here;
        if (message.type !== 'answer-claim' || lies === 0) say({ connection, message });
        else void this.#lie(message.claim).then((claim) => say({ connection, message: { ...message, claim } }));
      },
    });
    this.serving.serve(modelOn(clock));
  }

  get peer(): string {
    return this.identity.id;
  }

  /** The hub has begun a new life. */
  come(): void {
    this.serving.away();
    this.#here = this.#connect();
    this.serving.welcome();
  }

  die(): void {
    this.come();
  }

  #connect(): Connection {
    const connection: Connection = {
      ...{ number: `${this.identity.id} ${this.#connections++}`, peer: this.identity.id },
      tell: (message) => {
        this.#clock.setTimeout(() => this.#here === connection && this.serving.hear(message), 1);
      },
    };
    return connection;
  }

  async #lie(claim: Uint8Array): Promise<Uint8Array> {
    const { device: _, type: __, version: ___, ...told } = openClaim(claim);
    const { output_tokens, input_tokens, earns_micro } = told;
    const lie = [
      {},
      { earns_micro: earns_micro + 1 },
      { output_tokens: output_tokens + 1, earns_micro: earns_micro + this.price_micro / 1_000_000 },
      { input_tokens: input_tokens + 1, earns_micro: earns_micro + this.price_micro / 1_000_000 },
      { part: told.part + 1 },
    ][this.lies];
    return signClaim(this.identity, { ...told, ...lie });
  }
}

function modelOn(clock: ReturnType<typeof handClock>): ServedModel {
  const rest = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      clock.setTimeout(resolve, 50);
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
  return {
    ...{ hash: MODEL, quantisation: 'f32', engine: 'own', class: 'own', context_tokens: 200, cache_tokens: 2000 },
    ...{ places: 3, chat: false, tools: false },
    async *answer({ prompt, written, max_tokens, sampling: { seed } }, signal) {
      const read = prompt.kind === 'ids' ? prompt.ids.length : 0;
      yield { kind: 'begun', prompt_tokens: read };
      for (let at = written.length; at < max_tokens; at++) {
        await rest(signal);
        const position = read + at;
        const id = idAt(seed, position);
        yield { kind: 'token', position, id, text: 'x', echoed: false, logprob: null, top: [] };
      }
      yield { kind: 'ended', text: '', reason: 'length', end_id: null, written_tokens: max_tokens };
    },
    async judge({ request, served }) {
      const read = request.prompt.kind === 'ids' ? request.prompt.ids.length : 0;
      const at = read + request.written.length;
      const differing = served.ids.filter((id, i) => id !== idAt(request.sampling.seed, at + i)).length;
      const tally = { draws: served.ids.length, differing, impossible: 0, margin: 2 * differing, end_margin: 0 };
      return { flaw: null, prompt_tokens: read, tally, logprob_distance: null };
    },
  };
}
