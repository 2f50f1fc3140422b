// A whole safetensors file in memory, written and read, for tests; models themselves are written and read piece by piece.
import { sizeOf } from '../../tensor/shape.ts';
import { decodeValues, encodeValues } from '../dtypes.ts';
import { ModelError } from '../errors.ts';
import { headerLength, PREFIX_BYTES, parseHeader, safetensorsHeader } from '../safetensors.ts';

export interface NamedArray {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export interface DecodedArray {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/**
 * Encodes float32 tensors as one safetensors file.
 * The same tensors in the same order give the same bytes on every machine.
 * Throws ModelError `corrupt-file` when a name repeats or a length differs from its shape.
 */
export function encodeSafetensors(
  tensors: readonly NamedArray[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const header = safetensorsHeader(
    tensors.map((tensor) => ({ ...tensor, dtype: 'f32' as const })),
    metadata,
  );
  const size_bytes = tensors.reduce((sum, { data }) => sum + data.byteLength, header.length);
  const file = new Uint8Array(size_bytes);
  file.set(header);
  let offset = header.length;
  for (const { name, shape, data } of tensors) {
    if (data.length !== sizeOf(shape)) {
      throw new ModelError('corrupt-file', `"${name}" has ${data.length} values for the shape [${shape.join(', ')}]`);
    }
    file.set(encodeValues('f32', data), offset);
    offset += data.byteLength;
  }
  return file;
}

/**
 * Decodes a safetensors file; F32, F16 and BF16 become float32. The result is in the order of the header and shares no memory with `bytes`.
 * Throws ModelError as `headerLength` and `parseHeader` do.
 */
export function decodeSafetensors(bytes: Uint8Array): Map<string, DecodedArray> {
  const data_start = PREFIX_BYTES + headerLength(bytes.subarray(0, PREFIX_BYTES), bytes.length);
  const data = bytes.subarray(data_start);
  const entries = parseHeader(bytes.subarray(PREFIX_BYTES, data_start), data.length);
  return new Map(
    entries.map(({ name, dtype, shape, start, end }) => [
      name,
      { shape, data: decodeValues(dtype, data.subarray(start, end)) },
    ]),
  );
}
