// Compresses bytes for clients that accept it (RFC 9110, section 12.5.3): Brotli before gzip, only where it is worthwhile.
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { openTurns } from './turns.ts';

/** Smaller bodies gain nothing; larger ones would keep a core busy. */
const PACKED_BYTES = { least: 1024, most: 32 << 20 };
const WORTH_PACKING = 0.9;
/** Size of the cache: the newest bundles are requested often, while an audit requests each old one once. */
const KEPT_BYTES = 16 << 20;
/** Node has four threads for files and compression. While so many tasks wait for them, answers are sent uncompressed, so that uploads do not wait. */
const PACKINGS_THAT_WAIT = 8;
/** The overhead of a cached entry beside its bytes. */
const ENTRY_BYTES = 200;

const packers = {
  br: (bytes: Uint8Array) => promisify(brotliCompress)(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }),
  gzip: (bytes: Uint8Array) => promisify(gzip)(bytes, { level: 6 }),
};
export type Packing = keyof typeof packers;

/** Compresses bytes of any size. */
export const packWith = (packing: Packing, bytes: Uint8Array): Promise<Uint8Array> => packers[packing](bytes);

/** The best compression that a client accepts; null for none. */
export function packingFor(accept_encoding: string | undefined): Packing | null {
  const taken = new Map<string, number>();
  for (const part of (accept_encoding ?? '').toLowerCase().split(',')) {
    const [name, ...parameters] = part.trim().split(/\s*;\s*/);
    const quality = parameters.find((parameter) => parameter.startsWith('q='));
    taken.set(name, quality === undefined ? 1 : Number(quality.slice(2)));
  }
  const takes = (name: string): boolean => (taken.get(name) ?? taken.get('*') ?? 0) > 0;
  return takes('br') ? 'br' : takes('gzip') ? 'gzip' : null;
}

/** Compresses bytes that never change under their name, with a cache; null where that is not worthwhile or too much is waiting. Parallel calls share the work. */
export type Packer = (
  name: string,
  packing: Packing,
  read: () => Promise<Uint8Array | null>,
) => Promise<Uint8Array | null>;

export function openPacker(): Packer {
  /** null: not worthwhile, which is cached too. The most recently requested one is last. */
  const kept = new Map<string, Uint8Array | null>();
  const packing_now = new Map<string, Promise<Uint8Array | null>>();
  let kept_bytes = 0;
  const weight = (bytes: Uint8Array | null | undefined): number => (bytes?.length ?? 0) + ENTRY_BYTES;
  const keep = (key: string, bytes: Uint8Array | null): void => {
    if (kept.delete(key)) kept_bytes -= weight(bytes);
    kept.set(key, bytes);
    kept_bytes += weight(bytes);
    for (const [oldest, other] of kept) {
      if (kept_bytes <= KEPT_BYTES) break;
      kept.delete(oldest);
      kept_bytes -= weight(other);
    }
  };
  const turns = openTurns(1);
  const packAnew = async (key: string, packing: Packing, read: () => Promise<Uint8Array | null>) => {
    if (packing_now.size >= PACKINGS_THAT_WAIT) return null;
    const bytes = await read();
    if (!bytes) return null;
    const small = await turns(() => packers[packing](bytes));
    const packed = small.length > bytes.length * WORTH_PACKING ? null : small;
    keep(key, packed);
    return packed;
  };
  return async (name, packing, read) => {
    const key = `${packing} ${name}`;
    const known = kept.get(key);
    if (known !== undefined) {
      keep(key, known);
      return known;
    }
    let now = packing_now.get(key);
    if (!now) {
      now = packAnew(key, packing, read).finally(() => packing_now.delete(key));
      packing_now.set(key, now);
    }
    return now;
  };
}

/** Bytes in the form that goes over the wire to a client that accepts some compressions. */
export async function packedFor(
  pack: Packer,
  name: string,
  bytes: Uint8Array,
  accept_encoding: string | undefined,
): Promise<{ readonly bytes: Uint8Array; readonly headers: Readonly<Record<string, string>> }> {
  const vary = { vary: 'accept-encoding' };
  const packing = packingFor(accept_encoding);
  const fits = bytes.length >= PACKED_BYTES.least && bytes.length <= PACKED_BYTES.most;
  const packed = packing && fits ? await pack(name, packing, async () => bytes) : null;
  return packed ? { bytes: packed, headers: { ...vary, 'content-encoding': packing! } } : { bytes, headers: vary };
}
