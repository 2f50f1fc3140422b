// API keys: how one is made, what is kept of it, and who a key speaks for. Only hashes are kept: who reads them can use none.
import { z } from 'zod';
import { sha256Hex, utf8 } from '../../protocol/hash.ts';
import { hash } from '../../protocol/schemas.ts';
import { API_LIMITS } from '../limits.ts';

const PREFIX = 'sk-potluck-';
/** A secret of 256 random bits needs no slow hash: nobody guesses it. */
const SECRET_BYTES = 32;
const ID_DIGITS = 12;

/** What somebody may ask in a minute; null: as much as there is. */
const QuotaSchema = z.strictObject({
  requests_per_minute: z.int().min(1).nullable(),
  tokens_per_minute: z.int().min(1).nullable(),
});
export type Quota = z.infer<typeof QuotaSchema>;

export const KeyRecordSchema = z.strictObject({
  /** The first digits of the hash, by which people name a key. */
  id: z.string().regex(new RegExp(`^[0-9a-f]{${ID_DIGITS}}$`)),
  name: z.string().min(1).max(API_LIMITS.key_name_characters),
  /** SHA-256 of the key. */
  hash,
  created_ms: z.int(),
  /** Only devices of these accounts get what is asked with it, and can read it; null: any device. */
  owners: z.array(hash).min(1).max(API_LIMITS.owners).nullable().default(null),
  /** The account that pays for what is asked with it; missing: that of its hash, from which nobody gets the key. */
  account: hash.optional(),
  ...QuotaSchema.shape,
});
export type KeyRecord = z.infer<typeof KeyRecordSchema>;

/** Who asks, as far as a key tells. */
export interface Caller extends Quota {
  readonly id: string;
  readonly name: string;
  /** The accounts whose devices alone may read what this caller asks; null: any. */
  readonly owners: readonly string[] | null;
  /** Who pays; null where nobody does, because no key is asked for. */
  readonly account: string | null;
}

/** Whoever asks where no key is needed. */
export const ANYBODY: Caller = {
  ...{ id: 'anybody', name: 'anybody', owners: null, account: null },
  ...{ requests_per_minute: null, tokens_per_minute: null },
};

/** Who may ask. */
export interface Keys {
  /** Whose key this is; null for nobody's. */
  callerOf(key: string): Promise<Caller | null>;
  /** All that there are, for whoever runs the server. */
  all(): Promise<readonly Caller[]>;
}

/** @param random_bytes fresh and unforeseeable */
export function makeKey(
  name: string,
  { owners = null, account, ...quota }: Quota & Partial<Pick<KeyRecord, 'owners' | 'account'>>,
  created_ms: number,
  random_bytes: (count: number) => Uint8Array,
): { readonly key: string; readonly record: KeyRecord } {
  const key = `${PREFIX}${base64url(random_bytes(SECRET_BYTES))}`;
  const hash = hashOf(key);
  const id = hash.slice(0, ID_DIGITS);
  return { key, record: KeyRecordSchema.parse({ id, name, hash, created_ms, owners, account, ...quota }) };
}

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
const hashOf = (key: string): string => sha256Hex(utf8(key));

/** Looks keys up by their hash: how long that takes says nothing about a key. */
export function keysIn(records: () => Promise<ReadonlyMap<string, KeyRecord>>): Keys {
  return {
    async callerOf(key) {
      const record = (await records()).get(hashOf(key));
      return record ? callerBy(record) : null;
    },
    all: async () => [...(await records()).values()].map(callerBy),
  };
}

/** The account that pays for what is asked with a key. */
export const accountOf = ({ account, hash }: Pick<KeyRecord, 'account' | 'hash'>): string => account ?? hash;

const callerBy = (record: KeyRecord): Caller => ({ ...record, account: accountOf(record) });
