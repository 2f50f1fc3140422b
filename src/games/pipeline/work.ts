// What a worker of a stage hands in: which state it went on from and which it leaves, as hashes, the transcript of its round, and its sparse
// update. The transcript says in order what it did, with the hash of all that came in and went out: whoever has what came in can do it again.
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { decodeStrictMap, type EventValue } from '../../protocol/strict-cbor.ts';
import { encodeStrict } from '../../protocol/strict-cbor-encode.ts';
import { GameError } from '../errors.ts';

/** A micro-batch by the worker of the first stage that made it, and the number that it gave it in this round. */
export interface MicroBatch {
  readonly origin: string;
  readonly number: number;
}

/** Of what another device handed on: who it was, and the SHA-256 of the payload. */
export interface Handed {
  readonly by: string;
  readonly hash: string;
}

export type Entry =
  /** Took a micro-batch forward; `came`: null in the first stage, `went`: what it handed on. Not in the last stage. */
  | { readonly kind: 'forward'; readonly of: MicroBatch; readonly came: Handed | null; readonly went: string }
  /** Took one back; `forward`: the index of its forward pass. `went`: null in the first stage. */
  | { readonly kind: 'backward'; readonly forward: number; readonly came: Handed; readonly went: string | null }
  /** In the last stage: forward and back at once. */
  | {
      readonly kind: 'learn';
      readonly of: MicroBatch;
      readonly came: Handed;
      readonly went: string;
      readonly loss_micro: number;
    }
  /** Stepped with the mean gradient of all since the step before. */
  | { readonly kind: 'step' };

export interface StageWork {
  readonly stage: number;
  /** SHA-256 of the carried state that it began with (pretrain/carried.ts), zeros: afresh; and of the one that it goes on with. */
  readonly start: Uint8Array;
  readonly end: Uint8Array;
  readonly transcript: readonly Entry[];
  /** What encodeUpdate wrote, of the stage's tensors. */
  readonly update: Uint8Array;
}

const VERSION = 1;
const HASH_BYTES = 32;
const KINDS = ['forward', 'backward', 'learn', 'step'] as const;
const NOTHING = new Uint8Array(0);
/** Of an entry: two hashes and a few numbers. */
const ENTRY_BYTES = 2 * (HASH_BYTES + 2) + 40;
const HEADER_BYTES = 200;
/** As many partners as a round has at most; each takes its key. */
const PARTNER_BYTES = HASH_BYTES + 2;

/** The bytes that work of so many entries and partners has beside its update, at most. */
export const workOverhead = (entries: number, partners: number): number =>
  HEADER_BYTES + entries * ENTRY_BYTES + partners * PARTNER_BYTES;

/** Deterministic DAG-CBOR; keys stand once, in the order in which they come up. */
export function encodeStageWork({ stage, start, end, transcript, update }: StageWork): Uint8Array {
  const keys = new Map<string, number>();
  const numberOf = (key: string): number => {
    const known = keys.get(key) ?? keys.size;
    keys.set(key, known);
    return known;
  };
  const entries = transcript.map((entry): EventValue[] => {
    const kind = KINDS.indexOf(entry.kind);
    if (entry.kind === 'step') return [kind];
    const { came, went } = entry;
    const handed = came === null ? [] : [numberOf(came.by), hexToBytes(came.hash)];
    const sent = went === null ? NOTHING : hexToBytes(went);
    if (entry.kind === 'backward') return [kind, entry.forward, sent, ...handed];
    const { origin, number } = entry.of;
    const named = [kind, numberOf(origin), number, sent];
    return entry.kind === 'learn' ? [...named, entry.loss_micro, ...handed] : [...named, ...handed];
  });
  const partners = [...keys.keys()].map((key) => hexToBytes(key));
  return encodeStrict({ version: VERSION, stage, start, end, partners, entries, update });
}

/** Reads what encodeStageWork wrote; the update is not looked into. Throws GameError `bad-work`. */
export function decodeStageWork(bytes: Uint8Array): StageWork {
  const { version, stage, start, end, partners, entries, update, ...rest } = decodeStrictMap(bytes, bad);
  if (version !== VERSION) throw bad(`expected version ${VERSION}, got ${JSON.stringify(version)}`);
  const [extra] = Object.keys(rest);
  if (extra !== undefined) throw bad(`expected nothing but its fields, got "${extra}"`);
  const keys = listOf(partners, 'partners').map((key) => bytesToHex(hashOf(key, 'a partner')));
  const transcript: Entry[] = [];
  for (const entry of listOf(entries, 'entries')) transcript.push(entryOf(entry, keys, transcript));
  return {
    stage: countOf(stage, 'stage'),
    start: hashOf(start, 'start'),
    end: hashOf(end, 'end'),
    transcript,
    update: bytesOf(update, 'update'),
  };
}

function entryOf(value: EventValue, keys: readonly string[], before: readonly Entry[]): Entry {
  const [code, ...fields] = listOf(value, 'an entry');
  const kind = KINDS[countOf(code, 'kind')];
  const keyOf = (at: EventValue | undefined): string => {
    const key = keys[countOf(at, 'a partner')];
    if (key === undefined) throw bad(`expected one of ${keys.length} partners, got ${at}`);
    return key;
  };
  const handed = (from: readonly EventValue[]): Handed => {
    if (from.length !== 2) throw bad(`${kind}: expected who handed it on, and its hash`);
    return { by: keyOf(from[0]), hash: bytesToHex(hashOf(from[1], 'what came')) };
  };
  const sent = (went: EventValue | undefined): string => bytesToHex(hashOf(went, 'what went out'));
  if (kind === 'step') {
    if (fields.length > 0) throw bad('expected a step without more');
    return { kind };
  }
  if (kind === 'backward') {
    const [forward, went, ...from] = fields;
    const at = countOf(forward, 'forward');
    if (before[at]?.kind !== 'forward') throw bad(`backward: expected the index of a forward pass, got ${at}`);
    const nothing = went instanceof Uint8Array && went.length === 0;
    return { kind, forward: at, came: handed(from), went: nothing ? null : sent(went) };
  }
  const [origin, number, went, ...from] = fields;
  const of = { origin: keyOf(origin), number: countOf(number, 'number') };
  if (kind === 'forward') return { kind, of, came: from.length === 0 ? null : handed(from), went: sent(went) };
  if (kind !== 'learn') throw bad(`expected a kind of entry, got ${code}`);
  const [loss_micro, ...by] = from;
  return { kind, of, came: handed(by), went: sent(went), loss_micro: countOf(loss_micro, 'loss_micro') };
}

function listOf(value: EventValue | undefined, name: string): readonly EventValue[] {
  if (Array.isArray(value)) return value;
  throw bad(`${name}: expected a list`);
}

function countOf(value: EventValue | undefined, name: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw bad(`${name}: expected a whole number from 0, got ${typeof value === 'number' ? value : typeof value}`);
}

function bytesOf(value: EventValue | undefined, name: string): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw bad(`${name}: expected bytes`);
}

function hashOf(value: EventValue | undefined, name: string): Uint8Array {
  const bytes = bytesOf(value, name);
  if (bytes.length === HASH_BYTES) return bytes;
  throw bad(`${name}: expected ${HASH_BYTES} bytes, got ${bytes.length}`);
}

const bad = (fact: string): GameError => new GameError('bad-work', `work of a stage: ${fact}`);
