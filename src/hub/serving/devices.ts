// The devices that offer to serve: what each has room for, and what the hub has measured of it. Nothing of it outlives the hub.

import { addToSum, isFound, isNear, NO_SUM, type SumLimits } from '../../model/margin-sum.ts';
import type { Timer } from '../../protocol/clock.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import type { FleetRow } from '../../protocol/fleet.ts';
import type { Offer } from '../../protocol/serving-from-peer.ts';
import type { ToServingPeer, UnpaidCode } from '../../protocol/serving-messages.ts';
import { type JudgedKey, type JudgedSums, sumOf } from './judged-sums.ts';
import type { Usual } from './plan.ts';
import { type DeviceKnown, FIRST_TOKENS, type Speed } from './rank.ts';

export const DEVICE_LIMITS = {
  offers: 4, // models that one device serves at the same time
  files: 256, // that no run has made, of all devices: anybody may offer one, and lists of models stay short enough to be read
  devices: 4096, // that offer; more have to wait until one leaves
  records: 8192, // keys whose speed is remembered after they have left; the least recently used one is forgotten
  outcomes: 100, // leases of which the success is counted, as routers of models count it
  warm: 16, // prompts whose beginning a device has read lately
  distrusted_ms: 600_000, // how long a device that did not keep to the form of answers, or was refused by judges, gets no other …
  doublings: 8, // … twice as long each time that judges refuse it again, up to two days: who is found every time earns next to nothing
  forgiven: 100, // … until so many parts were accepted in a row: an honest device was refused by accident, a liar is out before
} as const;

/** What was never measured, for the first answers of a hub: a slow laptop. */
const UNMEASURED: Speed = { first_ms_per_token: 20, gap_ms: 200 };
const ROUND_TRIP_MS = 50;
/** How much of a new measurement counts: the last ten or so decide. */
const NEW_PART = 0.15;

/** The hub's end of a device's connection. */
export interface PoolConnection {
  readonly number: string;
  readonly peer: string | null;
  /** It is connected to a process of another region than this one's; missing: it is not. */
  readonly away?: boolean;
  tell(message: ToServingPeer): void;
}

/** One model in one quantisation. */
export type ModelKey = string;
export const modelKey = ({ model, quantisation }: Pick<Offer, 'model' | 'quantisation'>): ModelKey =>
  `${model} ${quantisation}`;

/** What is remembered of a key, also when it comes again. */
interface DeviceRecord {
  readonly speeds: Map<ModelKey, Partial<Speed>>;
  /** Of the last leases, oldest first: whether each ended well. */
  readonly outcomes: boolean[];
  /** How many of them did. */
  well: number;
  distrusted_until_ms: number;
  /** Parts of answers on which judges have decided, and those that they refused. */
  judged: number;
  refused: number;
  /** Parts accepted since the last refusal of any, and refusals since the last forgiven one. */
  readonly trust: Map<JudgedKey, { accepted: number; strikes: number }>;
  /** How far its accepted answers are off together, and by which limits. */
  readonly sums: JudgedSums;
  /** Verdicts of this device that two other judges have contradicted. */
  contradicted: number;
}

interface Offered {
  offer: Offer;
  /** What was sent since the device counted, oldest first. */
  unheard: { readonly ordinal: number; readonly tokens: number }[];
}

export interface PoolDevice {
  readonly connection: PoolConnection;
  readonly peer: string;
  readonly offers: ReadonlyMap<ModelKey, { readonly offer: Offer }>;
  readonly record: DeviceRecord;
  /** It was late and has not said anything since. */
  silent: boolean;
  /** What it was told of why nobody pays it. */
  unpaid: UnpaidCode | null;
  /** What it is about to be told of that. */
  telling: Timer;
}

interface Present extends PoolDevice {
  readonly offers: Map<ModelKey, Offered>;
  sent: number;
  round_trip_ms: number;
  readonly warm: Set<string>;
  last_given_ms: number;
}

/** An answer, as far as it matters to one device. */
interface AskedOfDevice {
  readonly prefix: string;
  readonly region: string | null;
  readonly read_tokens: number;
  readonly left_tokens: number;
}

/** What a judge has found of a part, and whose word that is. */
export type JudgedPart = Parameters<typeof addToSum>[1];

export interface Devices {
  readonly all: ReadonlyMap<string, PoolDevice>;
  /** Those that offer a model. */
  with(key: ModelKey): Iterable<PoolDevice>;
  /** Throws ProtocolError `malformed` for an offer that contradicts what was sent. @returns what is wrong with it for now */
  offer(connection: PoolConnection, offer: Offer): 'too-many-models' | 'too-many-files' | 'too-many-devices' | null;
  gone(connection: PoolConnection): void;
  /** A request is sent: its room is taken until the device's next offer counts it. */
  given(device: PoolDevice, key: ModelKey, tokens: number, prefix: string): void;
  /** Measurements. */
  tookAfter(device: PoolDevice, round_trip_ms: number): void;
  firstAfter(device: PoolDevice, key: ModelKey, first_ms: number, read_tokens: number): void;
  tokensAfter(device: PoolDevice, key: ModelKey, gap_ms: number, tokens: number): void;
  ended(device: PoolDevice, well: boolean): void;
  distrust(device: PoolDevice): void;
  /** Judges have decided on what it wrote. Whoever is refused begins anew: nothing that it did before counts as well done. */
  judged(device: PoolDevice, of: JudgedKey, refused: boolean): void;
  /** An accepted part is added to a device's others. @returns whether together they are further off than honest ones: they count no more then */
  added(device: PoolDevice, of: JudgedKey, part: JudgedPart, limits: SumLimits): boolean;
  /** Whether its answers together come near to that. */
  isSuspected(device: PoolDevice, of: JudgedKey, limits: SumLimits): boolean;
  usual(key: ModelKey): Speed;
  /** When a device is late, by its own times; none is allowed to be much slower than the pool. */
  usualOf(device: PoolDevice, key: ModelKey, read_tokens: number): Usual;
  known(device: PoolDevice, key: ModelKey, asked: AskedOfDevice): Omit<DeviceKnown, 'was_late'>;
  /** How many answers more it takes of a model. */
  placesOf(device: PoolDevice, key: ModelKey): number;
  /** What people may see: a row for each model that a device offers, those that write most first. @param writing answers, of a connection's number and a model */
  rows(writing: (number: string, key: ModelKey) => number): Omit<FleetRow, 'name' | 'unpaid'>[];
}

export function openDevices(now_ms: () => number): Devices {
  return new MeasuredDevices(now_ms);
}

class MeasuredDevices implements Devices {
  readonly all = new Map<string, Present>();
  readonly #byModel = new Map<ModelKey, Set<Present>>();
  /** Models of which `#byModel` knows that they are files. */
  #files = 0;
  readonly #records = new Map<string, DeviceRecord>();
  /** By model, over all devices: each token counts, so that slow ones, which write few, make little of it. */
  readonly #usuals = new Map<ModelKey, Partial<Speed>>();
  readonly #now_ms: () => number;

  constructor(now_ms: () => number) {
    this.#now_ms = now_ms;
  }

  offer(connection: PoolConnection, offer: Offer): ReturnType<Devices['offer']> {
    const key = modelKey(offer);
    const device = this.all.get(connection.number);
    const sent = device?.sent ?? 0;
    if (offer.heard > sent) {
      throw new ProtocolError('malformed', `offer: heard ${offer.heard} requests, ${sent} were sent`);
    }
    if ((offer.quantisation === 'gguf') !== (offer.file !== undefined)) {
      throw new ProtocolError('malformed', 'offer: expected the quantisation gguf of a file, and of nothing else');
    }
    if (!device && this.all.size >= DEVICE_LIMITS.devices) return 'too-many-devices';
    const here = device ?? this.#newcomer(connection);
    const before = here.offers.get(key);
    const those = this.#byModel.get(key);
    if (!those && offer.file && this.#files >= DEVICE_LIMITS.files) return 'too-many-files';
    if (!before && !this.#hasRoomFor(here)) return 'too-many-models';
    const unheard = (before?.unheard ?? []).filter(({ ordinal }) => ordinal >= offer.heard);
    here.offers.set(key, { offer, unheard });
    this.all.set(connection.number, here);
    if (those) those.add(here);
    else {
      this.#byModel.set(key, new Set([here]));
      if (offer.file) this.#files++;
    }
    return null;
  }

  gone({ number }: PoolConnection): void {
    const device = this.all.get(number);
    if (!device) return;
    this.all.delete(number);
    for (const [key, { offer }] of device.offers) this.#offersNoMore(device, key, offer);
  }

  /** Where there is none, the oldest model of which the device takes no answer is forgotten: a run that learns has a new one every minute. */
  #hasRoomFor(device: Present): boolean {
    if (device.offers.size < DEVICE_LIMITS.offers) return true;
    const [key, old] = [...device.offers].find(([, { offer }]) => offer.places === 0) ?? [];
    if (key === undefined || !old) return false;
    device.offers.delete(key);
    this.#offersNoMore(device, key, old.offer);
    return true;
  }

  #offersNoMore(device: Present, key: ModelKey, { file }: Offer): void {
    const those = this.#byModel.get(key)!;
    those.delete(device);
    if (those.size > 0) return;
    this.#byModel.delete(key);
    if (file) this.#files--;
  }

  with(key: ModelKey): Iterable<PoolDevice> {
    return this.#byModel.get(key) ?? [];
  }

  given(device: PoolDevice, key: ModelKey, tokens: number, prefix: string): void {
    const here = present(device);
    here.offers.get(key)?.unheard.push({ ordinal: here.sent++, tokens });
    here.last_given_ms = this.#now_ms();
    here.warm.delete(prefix);
    here.warm.add(prefix);
    keepFew(here.warm, DEVICE_LIMITS.warm);
  }

  tookAfter(device: PoolDevice, round_trip_ms: number): void {
    const here = present(device);
    here.round_trip_ms += (round_trip_ms - here.round_trip_ms) * NEW_PART;
  }

  firstAfter(device: PoolDevice, key: ModelKey, first_ms: number, read_tokens: number): void {
    this.#measured(device, key, { first_ms_per_token: first_ms / (FIRST_TOKENS + read_tokens) }, NEW_PART);
  }

  tokensAfter(device: PoolDevice, key: ModelKey, gap_ms: number, tokens: number): void {
    this.#measured(device, key, { gap_ms: gap_ms / tokens }, 1 - (1 - NEW_PART) ** (tokens / 4));
  }

  ended({ record }: PoolDevice, well: boolean): void {
    record.outcomes.push(well);
    record.well += Number(well);
    if (record.outcomes.length > DEVICE_LIMITS.outcomes) record.well -= Number(record.outcomes.shift());
  }

  distrust({ record }: PoolDevice): void {
    this.#distrustFor(record, DEVICE_LIMITS.distrusted_ms);
  }

  judged(device: PoolDevice, of: JudgedKey, refused: boolean): void {
    const { record } = device;
    const trust = record.trust.get(of) ?? { accepted: 0, strikes: 0 };
    record.trust.delete(of);
    record.trust.set(of, trust);
    keepFew(record.trust, DEVICE_LIMITS.offers * 2);
    record.judged++;
    if (!refused && ++trust.accepted >= DEVICE_LIMITS.forgiven) trust.strikes = 0;
    if (!refused) return;
    for (const one of record.trust.values()) one.accepted = 0;
    record.refused++;
    record.outcomes.fill(false);
    record.well = 0;
    const { distrusted_ms, doublings } = DEVICE_LIMITS;
    this.#distrustFor(record, distrusted_ms * 2 ** Math.min(trust.strikes++, doublings));
  }

  added({ record: { sums } }: PoolDevice, of: JudgedKey, part: JudgedPart, limits: SumLimits): boolean {
    const sum = addToSum(sumOf(sums, of, limits), part, limits);
    const found = isFound(sum, limits);
    sums.delete(of);
    if (!found && sum !== NO_SUM) sums.set(of, { sum, limits });
    keepFew(sums, DEVICE_LIMITS.offers * 2);
    return found;
  }

  isSuspected({ record: { sums } }: PoolDevice, of: JudgedKey, limits: SumLimits): boolean {
    return isNear(sumOf(sums, of, limits), limits);
  }

  #distrustFor(record: DeviceRecord, duration_ms: number): void {
    record.distrusted_until_ms = Math.max(record.distrusted_until_ms, this.#now_ms() + duration_ms);
  }

  usual(key: ModelKey): Speed {
    return { ...UNMEASURED, ...this.#usuals.get(key) };
  }

  usualOf(device: PoolDevice, key: ModelKey, read_tokens: number): Usual {
    const pool = this.usual(key);
    const own = { ...pool, ...device.record.speeds.get(key) };
    const { gap_ms, first_ms_per_token } = noSlowerThan(own, pool);
    const first_ms = first_ms_per_token * (FIRST_TOKENS + read_tokens);
    return { gap_ms, first_ms, round_trip_ms: present(device).round_trip_ms };
  }

  known(device: PoolDevice, key: ModelKey, asked: AskedOfDevice): Omit<DeviceKnown, 'was_late'> {
    const { prefix, region, read_tokens, left_tokens } = asked;
    const here = present(device);
    const { offer, unheard } = here.offers.get(key)!;
    const { outcomes, well, speeds } = here.record;
    const taken_tokens = unheard.reduce((sum, { tokens }) => sum + tokens, 0);
    return {
      id: here.connection.number,
      class: offer.class,
      places: this.placesOf(device, key),
      free_tokens: offer.free_tokens - taken_tokens,
      context_tokens: offer.context_tokens,
      speed: speeds.has(key) ? { ...this.usual(key), ...speeds.get(key) } : null,
      round_trip_ms: here.round_trip_ms,
      // One that has done nothing yet has not failed.
      success: (well + 1) / (outcomes.length + 1),
      warm: here.warm.has(prefix),
      price: read_tokens * offer.price_in + left_tokens * offer.price_out,
      near: region !== null && offer.region === region,
      away: here.connection.away ?? false,
      silent: here.silent,
      last_given_ms: here.last_given_ms,
    };
  }

  placesOf(device: PoolDevice, key: ModelKey): number {
    const { offers, record } = present(device);
    const { offer, unheard } = offers.get(key)!;
    return record.distrusted_until_ms > this.#now_ms() ? 0 : offer.places - unheard.length;
  }

  rows(writing: (number: string, key: ModelKey) => number): Omit<FleetRow, 'name' | 'unpaid'>[] {
    const all = [...this.all.values()].flatMap((device) =>
      [...device.offers].map(([key, offered]) => ({
        ...this.#row(device, key, offered),
        writing: writing(device.connection.number, key),
      })),
    );
    return all.sort((a, b) => b.writing - a.writing || (a.device < b.device ? -1 : 1));
  }

  #row({ peer, record, round_trip_ms, silent }: Present, key: ModelKey, { offer, unheard }: Offered) {
    const { model, quantisation, engine, chat, tools, region, price_in, price_out, free_tokens } = offer;
    const places = free_tokens > 0 ? Math.max(0, offer.places - unheard.length) : 0;
    const gap_ms = record.speeds.get(key)?.gap_ms;
    return {
      ...{ device: peer, model, quantisation, engine, chat, tools: chat && tools, region, places },
      ...{ price_in, price_out, round_trip_ms },
      tokens_per_second: gap_ms === undefined ? null : 1000 / gap_ms,
      leases: record.outcomes.length,
      well: record.well,
      judged: record.judged,
      refused: record.refused,
      energy: offer.energy ?? null,
      doubted: silent || record.distrusted_until_ms > this.#now_ms(),
    };
  }

  #newcomer(connection: PoolConnection): Present {
    const peer = connection.peer!;
    return {
      ...{ connection, peer, record: this.#recordOf(peer), offers: new Map(), silent: false, unpaid: null },
      ...{ telling: undefined, sent: 0, round_trip_ms: ROUND_TRIP_MS, warm: new Set(), last_given_ms: 0 },
    };
  }

  #recordOf(peer: string): DeviceRecord {
    const fresh: DeviceRecord = {
      ...{ speeds: new Map(), outcomes: [], well: 0, distrusted_until_ms: Number.NEGATIVE_INFINITY },
      ...{ judged: 0, refused: 0, trust: new Map(), sums: new Map(), contradicted: 0 },
    };
    const record = this.#records.get(peer) ?? fresh;
    this.#records.delete(peer);
    this.#records.set(peer, record);
    keepFew(this.#records, DEVICE_LIMITS.records);
    return record;
  }

  #measured({ record: { speeds } }: PoolDevice, key: ModelKey, change: Partial<Speed>, part: number): void {
    speeds.set(key, mixed(speeds.get(key), change, part));
    keepFew(speeds, DEVICE_LIMITS.offers * 2);
    this.#usuals.set(key, mixed(this.#usuals.get(key), change, part / 4));
    keepFew(this.#usuals, DEVICE_LIMITS.records);
  }
}

const present = (device: PoolDevice): Present => device as Present;

/** A device may be so many times slower than the pool before that is late. */
const SLOWER_TIMES = 4;

const noSlowerThan = (own: Speed, pool: Speed): Speed => ({
  first_ms_per_token: Math.min(own.first_ms_per_token, SLOWER_TIMES * pool.first_ms_per_token),
  gap_ms: Math.min(own.gap_ms, SLOWER_TIMES * pool.gap_ms),
});

/** The first measurement counts whole. */
function mixed(before: Partial<Speed> = {}, change: Partial<Speed>, part: number): Partial<Speed> {
  const mix = (old: number | undefined, now: number): number => (old === undefined ? now : old + (now - old) * part);
  const { first_ms_per_token: first, gap_ms: gap } = change;
  return {
    ...before,
    ...(first !== undefined && { first_ms_per_token: mix(before.first_ms_per_token, first) }),
    ...(gap !== undefined && { gap_ms: mix(before.gap_ms, gap) }),
  };
}

/** The oldest are forgotten. */
function keepFew(kept: Map<string, unknown> | Set<string>, most: number): void {
  while (kept.size > most) kept.delete(kept.keys().next().value!);
}
