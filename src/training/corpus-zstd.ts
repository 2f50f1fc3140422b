// Consecutive Zstandard frames (RFC 8878, 3.1). Node's own decompressor stops silently after the first one, and where the data is cut short.
import { Readable } from 'node:stream';
import { createZstdDecompress } from 'node:zlib';
import { SKIPPABLE_MAGIC, ZSTD_MAGIC } from './corpus-kinds.ts';

/** The bytes of the dictionary id and of the content size, by their flags in the frame's header. */
const DICTIONARY_BYTES = [0, 1, 2, 4];
const SIZE_BYTES = [0, 2, 4, 8];
const RLE_BLOCK = 1;

export class CutShort extends Error {}

/** Reads exact numbers of bytes from a stream; throws CutShort where it ends too early. */
function cursor(bytes: AsyncIterable<Uint8Array>) {
  const source = bytes[Symbol.asyncIterator]();
  let held: Buffer = Buffer.alloc(0);
  const fill = async (count: number): Promise<boolean> => {
    while (held.length < count) {
      const { value, done } = await source.next();
      if (done) return false;
      held = Buffer.concat([held, value]);
    }
    return true;
  };
  return {
    atEnd: async () => !(await fill(1)),
    async take(count: number): Promise<Buffer> {
      if (!(await fill(count))) throw new CutShort();
      const taken = held.subarray(0, count);
      held = held.subarray(count);
      return taken;
    },
  };
}

/** One frame, piece by piece; its end follows from the sizes of its blocks. */
async function* frame(from: ReturnType<typeof cursor>, magic: Buffer): AsyncGenerator<Buffer> {
  yield magic;
  const descriptor = await from.take(1);
  yield descriptor;
  const single_segment = (descriptor[0] >> 5) & 1;
  const size_flag = descriptor[0] >> 6;
  const size_bytes = size_flag === 0 ? single_segment : SIZE_BYTES[size_flag];
  const header_bytes = 1 - single_segment + DICTIONARY_BYTES[descriptor[0] & 3] + size_bytes;
  if (header_bytes > 0) yield await from.take(header_bytes);
  for (let last = false; !last; ) {
    const header = await from.take(3);
    yield header;
    const word = header.readUIntLE(0, 3);
    last = (word & 1) === 1;
    const size = ((word >> 1) & 3) === RLE_BLOCK ? 1 : word >> 3;
    if (size > 0) yield await from.take(size);
  }
  if ((descriptor[0] >> 2) & 1) yield await from.take(4); // the checksum
}

/** Decompresses Zstandard frames. Throws CutShort, and the decompressor's error where the data is damaged. */
export async function* zstdFrames(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const from = cursor(bytes);
  while (!(await from.atEnd())) {
    const magic = await from.take(4);
    const number = magic.readUInt32LE(0);
    if ((number & ~0xf) >>> 0 === SKIPPABLE_MAGIC) {
      for (let left = (await from.take(4)).readUInt32LE(0); left > 0; ) {
        left -= (await from.take(Math.min(left, 65_536))).length;
      }
      continue;
    }
    if (number !== ZSTD_MAGIC) throw new Error('expected a Zstandard frame');
    const pieces = Readable.from(frame(from, magic));
    const decompressor = createZstdDecompress();
    pieces.on('error', (error) => decompressor.destroy(error));
    yield* pieces.pipe(decompressor);
  }
}
