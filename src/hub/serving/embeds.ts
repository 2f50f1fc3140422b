// Vectors of texts through the pool: one device makes all of a request, and where it is gone another begins anew. The hub knows no model: it
// passes on what has the form of vectors, and keeps nothing.
import type { Clock, Timer } from '../../protocol/clock.ts';
import { orNull, ProtocolError } from '../../protocol/errors.ts';
import { type EmbedInputs, packRequest, unpackFloats } from '../../protocol/serving-bytes.ts';
import type { FromServingPeer, Offer } from '../../protocol/serving-from-peer.ts';
import { SERVE_LIMITS } from '../../protocol/serving-messages.ts';
import { ServingError, type ServingErrorCode } from '../../serving/errors.ts';
import { NOBODYS_FAULT, OF_THE_REQUEST } from './answer.ts';
import { type Devices, modelKey, type PoolConnection, type PoolDevice } from './devices.ts';
import { PLAN_LIMITS } from './plan.ts';
import { bestDevice } from './rank.ts';
import { mostTokens, type TokenRate } from './request.ts';

export const EMBED_LIMITS = {
  requests: 32, // at the same time: each may fill SERVE_LIMITS.embed_floats, 512 MB of all
  devices: 4, // that are asked for one request, one after the other
  unit_error: 0.01, // of a vector's length: what rounding makes of it, and nothing else
  lease_ms: 600_000, // however often a device says something: callers' clients wait no longer
  around_tokens: 16, // that a tokenizer puts around a text
  retry_after_ms: 1000,
} as const;

/** What a request needs of the pool. */
export interface EmbedServices {
  readonly clock: Clock;
  readonly devices: Devices;
  newLease(): string;
  /** A lease is over, of which a device may still say something. @param why what it is told; null: it knows */
  leaseEnded(connection: PoolConnection, lease: string, why: string | null): void;
}

export interface EmbedRequest {
  readonly inputs: EmbedInputs;
  readonly offer: Pick<Offer, 'model' | 'quantisation'>;
  readonly rate: TokenRate;
  readonly region: string | null;
  /** Whether a device may see the texts. */
  may(device: PoolDevice, offer: Offer): boolean;
}

interface Made {
  readonly vectors: readonly Float32Array[];
  readonly tokens: number;
}

interface EmbedLease {
  readonly device: PoolDevice;
  readonly inputs: number;
  /** How many tokens they have at most: the caller pays for what the device says. */
  readonly most_tokens: number;
  readonly ends_ms: number;
  readonly pieces: Float32Array[];
  floats: number;
  timer: Timer;
  resolve(made: Made): void;
  /** @param code what the device said, or the hub of it */
  fail(code: string, message: string): void;
}

export type OfEmbed = Extract<
  FromServingPeer,
  { readonly type: 'answer-taken' | 'embedded' | 'embed-ended' | 'answer-failed' }
>;

/** Why a device did not do it. */
class Given extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export class Embeds {
  readonly #services: EmbedServices;
  readonly #leases = new Map<string, EmbedLease>();
  #requests = 0;

  constructor(services: EmbedServices) {
    this.#services = services;
  }

  /** Throws ServingError: what two devices, or the only one, say of the request, `no-room`, `interrupted`, `too-large`. */
  async make(request: EmbedRequest, signal: AbortSignal): Promise<Made> {
    signal.throwIfAborted();
    const asked = packed(request.inputs);
    if (this.#requests >= EMBED_LIMITS.requests) throw noRoom(`the pool makes vectors for ${this.#requests} callers`);
    this.#requests++;
    try {
      return await this.#fromAny(request, asked, signal);
    } finally {
      this.#requests--;
    }
  }

  async #fromAny(request: EmbedRequest, asked: Uint8Array, signal: AbortSignal): Promise<Made> {
    const avoided = new Set<string>();
    let refusal: Given | null = null;
    while (avoided.size < EMBED_LIMITS.devices) {
      const device = this.#best(request, avoided);
      if (!device) break;
      avoided.add(device.connection.number);
      try {
        return await this.#from(device, request, asked, signal);
      } catch (error) {
        if (!(error instanceof Given)) throw error;
        if (!OF_THE_REQUEST.includes(error.code)) continue;
        if (refusal) break; // two are believed
        refusal = error;
      }
    }
    if (refusal) throw new ServingError(refusal.code as ServingErrorCode, refusal.message);
    if (avoided.size === 0) throw noRoom('every device that makes vectors with this model is full');
    throw new ServingError('interrupted', 'the devices that made these vectors are gone, and no other one has room');
  }

  #best({ inputs, offer, rate, region, may }: EmbedRequest, avoided: ReadonlySet<string>): PoolDevice | null {
    const { devices } = this.#services;
    const key = modelKey(offer);
    const lengths = inputs.map((one) => rate.estimate(promptOf(one)));
    const work = { read_tokens: lengths.reduce((sum, one) => sum + one, 0), left_tokens: 0 };
    // They are read one after the other, each in the room of one.
    const room = { read_tokens: Math.max(...lengths), left_tokens: 0 };
    const known = [...devices.with(key)]
      .filter((device) => {
        const { offer: theirs } = device.offers.get(key)!;
        return theirs.embeddings === true && !avoided.has(device.connection.number) && may(device, theirs);
      })
      .map((device) => ({ ...devices.known(device, key, { prefix: '', region, ...work }), was_late: false }));
    const best = bestDevice(known, { ...room, class: null, usual: devices.usual(key) });
    return best ? devices.all.get(best.id)! : null;
  }

  async #from(device: PoolDevice, request: EmbedRequest, asked: Uint8Array, signal: AbortSignal): Promise<Made> {
    const { clock, devices, newLease, leaseEnded } = this.#services;
    const { promise, resolve, reject } = Promise.withResolvers<Made>();
    const id = newLease();
    const lease: EmbedLease = {
      ...{ device, inputs: request.inputs.length, pieces: [], floats: 0, resolve },
      most_tokens: request.inputs.reduce((sum, one) => sum + mostTokens(promptOf(one), EMBED_LIMITS.around_tokens), 0),
      ends_ms: clock.elapsed_ms() + EMBED_LIMITS.lease_ms,
      timer: clock.setTimeout(() => lease.fail('late', 'the device is late'), PLAN_LIMITS.taken_most_ms),
      fail: (code, message) => reject(new Given(code, message)),
    };
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort);
    this.#leases.set(id, lease);
    const key = modelKey(request.offer);
    devices.given(device, key, device.offers.get(key)!.offer.context_tokens, '');
    device.connection.tell({ type: 'embed', lease: id, ...request.offer, asked });
    let told: string | null = null;
    try {
      const made = await promise;
      devices.ended(device, true);
      return made;
    } catch (error) {
      const code = error instanceof Given ? error.code : null;
      if (code === 'late') device.silent = true;
      if (code === null || code === 'late' || code === 'malformed') told = code ?? 'caller-gone';
      const isNobodys = code === null || NOBODYS_FAULT.includes(code) || OF_THE_REQUEST.includes(code);
      if (!isNobodys) devices.ended(device, false);
      throw error;
    } finally {
      clock.clearTimeout(lease.timer);
      signal.removeEventListener('abort', abort);
      this.#leases.delete(id);
      leaseEnded(device.connection, id, told);
    }
  }

  /** @returns whether the lease is one of vectors. Throws ProtocolError `malformed`. */
  hear(connection: PoolConnection, message: OfEmbed): boolean {
    const lease = this.#leases.get(message.lease);
    if (lease?.device.connection !== connection) return false;
    const { clock, devices } = this.#services;
    clock.clearTimeout(lease.timer);
    const wait_ms = Math.min(PLAN_LIMITS.first_most_ms, lease.ends_ms - clock.elapsed_ms());
    lease.timer = clock.setTimeout(() => lease.fail('late', 'the device is late'), wait_ms);
    if (message.type === 'answer-failed') lease.fail(message.code, message.message);
    const wrong = message.type === 'embedded' ? heardPiece(lease, message) : null;
    const made = message.type === 'embed-ended' ? madeOf(lease, message) : null;
    if (typeof made === 'object' && made) lease.resolve(made);
    const fault = wrong ?? (typeof made === 'string' ? made : null);
    if (fault === null) return true;
    devices.distrust(lease.device);
    lease.fail('malformed', fault);
    throw new ProtocolError('malformed', `${message.type}: ${fault}`);
  }

  gone(connection: PoolConnection): void {
    for (const lease of this.#leases.values()) {
      if (lease.device.connection === connection) lease.fail('gone', 'the device is gone');
    }
  }
}

function packed(inputs: EmbedInputs): Uint8Array {
  try {
    return packRequest(inputs);
  } catch (error) {
    if (error instanceof ProtocolError) throw new ServingError('too-large', error.message);
    throw error;
  }
}

const noRoom = (fact: string): ServingError =>
  new ServingError('no-room', fact, { retry_after_ms: EMBED_LIMITS.retry_after_ms });

const promptOf = (input: EmbedInputs[number]): Parameters<typeof mostTokens>[0] =>
  typeof input === 'string' ? { kind: 'text', text: input } : { kind: 'ids', ids: [...input] };

/** @returns what is wrong with it; null: nothing */
function heardPiece(lease: EmbedLease, { from, packed }: Extract<OfEmbed, { type: 'embedded' }>): string | null {
  if (from !== lease.floats) return `numbers from ${from}, expected ${lease.floats}`;
  const values = orNull(() => unpackFloats(packed));
  if (!values) return 'expected finite numbers';
  lease.floats += values.length;
  if (lease.floats > SERVE_LIMITS.embed_floats) return `more than ${SERVE_LIMITS.embed_floats} numbers`;
  lease.pieces.push(values);
  return null;
}

/** The vectors; in words: what is wrong with them. */
function madeOf(lease: EmbedLease, { width, tokens }: Extract<OfEmbed, { type: 'embed-ended' }>): Made | string {
  if (lease.floats !== width * lease.inputs) {
    return `${lease.floats} numbers, expected ${lease.inputs} vectors of ${width}`;
  }
  if (tokens > lease.most_tokens) return `${tokens} tokens, of ${lease.most_tokens} at most`;
  const all = new Float32Array(lease.floats);
  let at = 0;
  for (const piece of lease.pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  const vectors = Array.from({ length: lease.inputs }, (_, i) => all.slice(i * width, (i + 1) * width));
  const isUnit = (vector: Float32Array): boolean =>
    Math.abs(Math.sqrt(vector.reduce((sum, one) => sum + one * one, 0)) - 1) <= EMBED_LIMITS.unit_error;
  if (!vectors.every(isUnit)) return 'expected vectors of unit length';
  return { vectors, tokens };
}
