// A file's or a pipe's bytes as they are read: decompressed, told apart by what they begin with, in UTF-8 without its mark.
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip } from 'node:zlib';
import { DataError } from './corpus-errors.ts';
import { jsonFormOf } from './corpus-json.ts';
import { encodingOf, fromUtf16, peek, withoutMark } from './corpus-text.ts';
import { CutShort, SKIPPABLE_MAGIC, ZSTD_MAGIC, zstdFrames } from './corpus-zstd.ts';

/** What is read from where a program writes to. */
export const STDIN = '-';
const READ_BYTES = 256 * 1024;
/** Enough for every sign of a format; a tar archive's stands last. */
const PEEKED_BYTES = 4096;

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

/** The endings of what is read in folders, for messages. */
export const ENDINGS = `${Object.keys(KINDS).join(', ')}, each also as .gz, .zst or .br`;

/** What a file holds by its name; null where that does not say. */
export function kindByName(path: string): Kind | null {
  const ending = /\.[^./\\]+$/.exec(path.replace(COMPRESSED, ''))?.[0].toLowerCase() ?? '';
  return Object.hasOwn(KINDS, ending) ? KINDS[ending] : null;
}

export interface OpenedText {
  readonly kind: Kind;
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly utf16: boolean;
  readonly compressed: boolean;
  /** Ends reading for whoever does not want the bytes. */
  close(): Promise<void>;
}

type Compression = 'gzip' | 'Zstandard' | 'Brotli';

function compressionOf(path: string, head: Uint8Array): Compression | null {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  if (head.length >= 4) {
    const number = new DataView(head.buffer, head.byteOffset).getUint32(0, true);
    if (number === ZSTD_MAGIC || (number & ~0xf) >>> 0 === SKIPPABLE_MAGIC) return 'Zstandard';
  }
  return /\.br$/i.test(path) && head.length > 0 ? 'Brotli' : null; // Brotli has no sign of its own
}

/** What is compressed, as a stream: never more of it in memory than a piece. Throws DataError `bad-record` where it is damaged. */
async function* decompressed(
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  compression: Compression,
): AsyncGenerator<Uint8Array> {
  let out_bytes = 0;
  try {
    const pieces = compression === 'Zstandard' ? zstdFrames(bytes) : throughZlib(bytes, compression);
    for await (const piece of pieces) {
      out_bytes += piece.length;
      yield piece;
    }
  } catch (error) {
    if (error instanceof DataError || (error instanceof Error && 'syscall' in error)) throw error;
    const short = error instanceof CutShort || (error as NodeJS.ErrnoException).code === 'Z_BUF_ERROR';
    const fact = short ? 'is cut short' : `is damaged (${error instanceof Error ? error.message : error})`;
    throw new DataError('bad-record', `${path}: its ${compression} data ${fact} after ${out_bytes} bytes of text`, {
      path,
    });
  }
}

function throughZlib(bytes: AsyncIterable<Uint8Array>, compression: 'gzip' | 'Brotli'): AsyncIterable<Uint8Array> {
  const pieces = Readable.from(bytes);
  const decompressor = compression === 'gzip' ? createGunzip() : createBrotliDecompress();
  pieces.on('error', (error) => decompressor.destroy(error));
  return pieces.pipe(decompressor);
}

const startsWith = (head: Uint8Array, text: string, from = 0): boolean =>
  [...text].every((character, at) => head[from + at] === character.charCodeAt(0));

/** What bytes are that nobody can learn to write from, by what they begin with; null for what may be text. */
function foreignFormat(head: Uint8Array): string | null {
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

/** Parquet's own sign, and the first byte of the header that follows it: no text goes on so. */
const isParquet = (head: Uint8Array): boolean => startsWith(head, 'PAR1\x15');

/** Whether a stream without a telling name is JSON or plain text. */
function kindByContent(head: Uint8Array): Kind {
  const beginning = new TextDecoder().decode(head);
  return jsonFormOf(beginning) !== null && /^\s*(?:\[\s*)?\{\s*"/.test(beginning) ? 'json' : 'text';
}

function rawBytes(path: string): AsyncIterable<Uint8Array> {
  return path === STDIN ? process.stdin : createReadStream(path, { highWaterMark: READ_BYTES });
}

/**
 * Opens what a path names. @param onBytes is told how many bytes of the file have been read, for whoever shows progress.
 * Throws DataError `bad-record` for what is no text, and errors of the file system.
 */
export async function openBytes(path: string, onBytes: (count: number) => void): Promise<OpenedText> {
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    for await (const piece of rawBytes(path)) {
      onBytes(piece.length);
      yield piece;
    }
  };
  const name = path === STDIN ? 'standard input' : path;
  let { head, bytes, close } = await peek(counted(), PEEKED_BYTES);
  const compression = compressionOf(path, head);
  if (compression) ({ head, bytes, close } = await peek(decompressed(name, bytes, compression), PEEKED_BYTES));
  const named = kindByName(path);
  if (isParquet(head) || (named === 'parquet' && head.length > 0)) {
    return { kind: 'parquet', bytes, utf16: false, compressed: compression !== null, close };
  }
  const foreign = foreignFormat(head);
  const encoding = encodingOf(head);
  if (!foreign && (encoding === 'utf-16le' || encoding === 'utf-16be')) {
    const utf8 = await peek(withoutMark(fromUtf16(name, bytes, encoding)), PEEKED_BYTES);
    return {
      kind: named ?? kindByContent(utf8.head),
      bytes: utf8.bytes,
      utf16: true,
      compressed: compression !== null,
      close,
    };
  }
  const zero = head.indexOf(0);
  const fact = foreign ?? (zero < 0 ? null : `binary, or UTF-16 without its mark: byte ${zero} is zero`);
  if (fact) {
    await close();
    throw new DataError('bad-record', `${name}: not UTF-8 text but ${fact}`, { path });
  }
  return {
    kind: named ?? kindByContent(head),
    bytes: withoutMark(bytes),
    utf16: false,
    compressed: compression !== null,
    close,
  };
}
