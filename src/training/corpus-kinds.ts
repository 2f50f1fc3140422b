// What kind of text a file contains, by its name and its first bytes. It needs nothing of Node, so that the page uses it too.
import { jsonFormOf } from './corpus-json.ts';
import { encodingOf } from './corpus-text.ts';

/** Zstandard's signature, and that of skippable frames, whose last digit is free (RFC 8878). */
export const ZSTD_MAGIC = 0xfd2fb528;
export const SKIPPABLE_MAGIC = 0x184d2a50;

export type Kind = 'text' | 'lines' | 'json' | 'parquet';

const KINDS: Readonly<Record<string, Kind>> = {
  '.txt': 'text',
  '.md': 'text',
  '.markdown': 'text',
  '.jsonl': 'lines',
  '.ndjson': 'lines',
  '.json': 'json',
  '.parquet': 'parquet',
};
const COMPRESSED = /\.(gz|gzip|zst|zstd|br)$/i;

/** The endings of files that are read in folders, for messages. */
export const ENDINGS = `${Object.keys(KINDS).join(', ')}, each also as .gz, .zst or .br`;

/** The kind of a file by its name; null where the name does not tell. */
export function kindByName(path: string): Kind | null {
  const ending = /\.[^./\\]+$/.exec(path.replace(COMPRESSED, ''))?.[0].toLowerCase() ?? '';
  return Object.hasOwn(KINDS, ending) ? KINDS[ending] : null;
}

export type Compression = 'gzip' | 'Zstandard' | 'Brotli';

/** How a file is compressed; null where it is not. */
export function compressionOf(path: string, head: Uint8Array): Compression | null {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  if (head.length >= 4) {
    const number = new DataView(head.buffer, head.byteOffset).getUint32(0, true);
    if (number === ZSTD_MAGIC || (number & ~0xf) >>> 0 === SKIPPABLE_MAGIC) return 'Zstandard';
  }
  return /\.br$/i.test(path) && head.length > 0 ? 'Brotli' : null; // Brotli has no signature
}

const startsWith = (head: Uint8Array, text: string, from = 0): boolean =>
  [...text].every((character, at) => head[from + at] === character.charCodeAt(0));

/** Names a format that is not text, by the first bytes; null for what may be text. */
export function foreignFormat(head: Uint8Array): string | null {
  if (startsWith(head, '%PDF-')) return 'a PDF';
  if (startsWith(head, 'PK\x03\x04')) return 'a zip archive (or an office document)';
  if (startsWith(head, '\xfd7zXZ')) return 'compressed by xz; .gz, .zst and .br are read';
  if (startsWith(head, 'BZh') && head[4] === 0x31) return 'compressed by bzip2; .gz, .zst and .br are read';
  if (startsWith(head, '7z\xbc\xaf')) return 'a 7-Zip archive';
  if (startsWith(head, 'ustar', 257)) return 'a tar archive; unpack it and name the folder';
  if (compressionOf('', head)) return 'compressed twice';
  if (startsWith(head, 'PARE')) return 'an encrypted Parquet file';
  if (startsWith(head, 'ARROW1')) return 'an Arrow file; Parquet is read';
  if (encodingOf(head) === 'utf-32') return 'UTF-32 text; UTF-8 and UTF-16 are read';
  return null;
}

/** Parquet's signature, and the first byte of the header after it: no text begins like that. */
export const isParquet = (head: Uint8Array): boolean => startsWith(head, 'PAR1\x15');

/** Whether a stream without a telling name is JSON or plain text. */
export function kindByContent(head: Uint8Array): Kind {
  const beginning = new TextDecoder().decode(head);
  return jsonFormOf(beginning) !== null && /^\s*(?:\[\s*)?\{\s*"/.test(beginning) ? 'json' : 'text';
}
