// The bytes of a file or pipe while they are read: decompressed, their format recognised by the first bytes, in UTF-8 without a byte order mark.
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip } from 'node:zlib';
import { DataError } from './corpus-errors.ts';
import {
  type Compression,
  compressionOf,
  foreignFormat,
  isParquet,
  type Kind,
  kindByContent,
  kindByName,
} from './corpus-kinds.ts';
import { encodingOf, fromUtf16, peek, withoutMark } from './corpus-text.ts';
import { CutShort, zstdFrames } from './corpus-zstd.ts';

/** The input that another program writes to. */
export const STDIN = '-';
const READ_BYTES = 256 * 1024;
/** Enough bytes for the signature of every format; that of a tar archive comes last. */
const PEEKED_BYTES = 4096;

export interface OpenedText {
  readonly kind: Kind;
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly utf16: boolean;
  readonly compressed: boolean;
  /** Ends reading, for a caller that does not want the bytes. */
  close(): Promise<void>;
}

/** Decompresses a stream, piece by piece. Throws DataError `bad-record` where it is damaged. */
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

function rawBytes(path: string): AsyncIterable<Uint8Array> {
  return path === STDIN ? process.stdin : createReadStream(path, { highWaterMark: READ_BYTES });
}

/**
 * Opens a path. @param onBytes is called with the number of bytes of the file that have been read, to show progress.
 * Throws DataError `bad-record` for input that is not text, and errors of the file system.
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
