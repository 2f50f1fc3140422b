// Bytes packed for whoever takes that (RFC 9110, section 12.5.3): Brotli before gzip, only where it is worth it.
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

/** Smaller ones gain nothing; larger ones would keep a core busy. */
const PACKED_BYTES = { least: 1024, most: 32 << 20 };
const WORTH_PACKING = 0.9;
/** Answers that are kept: those that are asked for now are the newest bundles, and whatever an audit reads comes once. */
const KEPT_BYTES = 16 << 20;

const packers = {
  br: (bytes: Uint8Array) => promisify(brotliCompress)(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }),
  gzip: (bytes: Uint8Array) => promisify(gzip)(bytes, { level: 6 }),
};
export type Packing = keyof typeof packers;

/** Packs bytes of whatever size. */
export const packWith = (packing: Packing, bytes: Uint8Array): Promise<Uint8Array> => packers[packing](bytes);

/** The packing that a reader takes and that packs best; null: none. */
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

export interface Packed {
  readonly bytes: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** Packs what never changes under its name, and keeps the latest answers. */
export function openPacker(): (
  name: string,
  bytes: Uint8Array,
  accept_encoding: string | undefined,
) => Promise<Packed> {
  const kept = new Map<string, Uint8Array>();
  let kept_bytes = 0;
  const keep = (key: string, bytes: Uint8Array): void => {
    kept.set(key, bytes);
    kept_bytes += bytes.length;
    for (const [oldest, { length }] of kept) {
      if (kept_bytes <= KEPT_BYTES) break;
      kept.delete(oldest);
      kept_bytes -= length;
    }
  };
  return async (name, bytes, accept_encoding) => {
    const vary = { vary: 'accept-encoding' };
    const packing = packingFor(accept_encoding);
    const fits = bytes.length >= PACKED_BYTES.least && bytes.length <= PACKED_BYTES.most;
    if (!packing || !fits) return { bytes, headers: vary };
    const key = `${packing} ${name}`;
    let packed = kept.get(key);
    if (!packed) {
      packed = await packers[packing](bytes);
      if (!kept.has(key)) keep(key, packed);
    }
    if (packed.length > bytes.length * WORTH_PACKING) return { bytes, headers: vary };
    return { bytes: packed, headers: { ...vary, 'content-encoding': packing } };
  };
}
