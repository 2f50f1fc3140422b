// A model's tensors on their way to parts and back, one tensor at a time: memory holds that tensor and a few parts, however large the model is.
import { sizeOf } from '../tensor/shape.ts';
import { decodeValues, encodeValues } from './dtypes.ts';
import { ModelError } from './errors.ts';
import { type ModelManifest, type Part, partsOf, type TensorSpec } from './tensor-manifest.ts';

/** Parts that are fetched or stored at the same time: the next one comes while one is read. More would only be memory. */
const PARTS_AT_ONCE = 2;

/**
 * Stores tensors as parts; resolves with their manifest. `tensors` are the values of each of `specs`, in order. What `put` gets may be
 * memory of the tensor: it is not changed while this runs. No `put` is under way when this ends, also where it fails.
 * Throws what `put` throws, ModelError `wrong-weights` (a tensor of another length, values that its dtype cannot hold).
 */
export async function writeParts(
  specs: readonly TensorSpec[],
  tensors: Iterable<Float32Array> | AsyncIterable<Float32Array>,
  put: (part: Uint8Array) => Promise<string>,
): Promise<ModelManifest> {
  const pending = new Set<Promise<unknown>>();
  try {
    return { tensors: specs, parts: await Promise.all(await putParts(specs, tensors, put, pending)) };
  } finally {
    await Promise.allSettled(pending);
  }
}

/** @param pending gets the puts that are under way */
async function putParts(
  specs: readonly TensorSpec[],
  tensors: Iterable<Float32Array> | AsyncIterable<Float32Array>,
  put: (part: Uint8Array) => Promise<string>,
  pending: Set<Promise<unknown>>,
): Promise<Promise<string>[]> {
  const layout = partsOf(specs);
  const hashes: Promise<string>[] = [];
  const store = async (part: Uint8Array): Promise<void> => {
    const stored = put(part);
    stored.catch(() => {}); // it is heard below, where all are waited for
    hashes.push(stored);
    pending.add(stored);
    const done = () => void pending.delete(stored);
    stored.then(done, done);
    if (pending.size >= PARTS_AT_ONCE) await Promise.race(pending);
  };
  let shared: { readonly bytes: Uint8Array; filled: number } | null = null;
  let at = 0;
  for await (const values of tensors) {
    const spec = specs[at];
    if (!spec || values.length !== sizeOf(spec.shape)) {
      const expected = spec ? `${sizeOf(spec.shape)} values of "${spec.name}"` : `${specs.length} tensors`;
      throw new ModelError('wrong-weights', `parts: expected ${expected}, got ${values.length} values`);
    }
    const bytes = encodeValues(spec.dtype, values);
    for (let from = 0; from < bytes.length; ) {
      const part = layout[hashes.length];
      if (part.pieces.length === 1) {
        await store(bytes.subarray(from, from + part.size_bytes));
        from += part.size_bytes;
        continue;
      }
      shared ??= { bytes: new Uint8Array(part.size_bytes), filled: 0 };
      shared.bytes.set(bytes, shared.filled);
      shared.filled += bytes.length;
      from = bytes.length;
      if (shared.filled < part.size_bytes) continue;
      await store(shared.bytes);
      shared = null;
    }
    at++;
  }
  if (at !== specs.length) throw new ModelError('wrong-weights', `parts: expected ${specs.length} tensors, got ${at}`);
  return hashes;
}

/**
 * The tensors of a manifest in order, in float32, finite. A few parts are fetched ahead. `fetch` answers a part whose hash is right.
 * `wanted`: by a tensor's index; of the others nothing is decoded, and parts that hold nothing else are not fetched. Missing: all.
 * Throws what `fetch` throws, ModelError `wrong-parts` (a part of another length), `wrong-weights` (NaN and infinities).
 */
export async function* readParts(
  { tensors, parts }: ModelManifest,
  fetch: (hash: string) => Promise<Uint8Array>,
  wanted: (tensor: number) => boolean = () => true,
): AsyncGenerator<Float32Array> {
  const needed = partsOf(tensors)
    .map((part, index) => ({ part, hash: parts[index] }))
    .filter(({ part }) => part.pieces.some(({ tensor }) => wanted(tensor)));
  // Parts on their way, the next one first. One that is taken out is held by nothing but the tensor that is made of it.
  const coming: Promise<Uint8Array>[] = [];
  let asked = 0;
  let values: Float32Array | null = null;
  for (const { part, hash } of needed) {
    while (asked < needed.length && coming.length < PARTS_AT_ONCE) {
      const fetched = fetch(needed[asked++].hash);
      fetched.catch(() => {}); // the turn that awaits it hears the error
      coming.push(fetched);
    }
    const bytes = await coming.shift()!;
    checkLength(part, bytes, hash);
    let offset = 0;
    for (const { tensor, from, values: count, size_bytes } of part.pieces) {
      const at = offset;
      offset += size_bytes;
      if (!wanted(tensor)) continue;
      const spec = tensors[tensor];
      const piece = decodeValues(spec.dtype, bytes.subarray(at, at + size_bytes));
      checkFinite(spec.name, piece);
      const whole = sizeOf(spec.shape);
      if (count === whole) yield piece;
      else {
        values ??= new Float32Array(whole);
        values.set(piece, from);
        if (from + count < whole) continue;
        yield values;
        values = null;
      }
    }
  }
}

/**
 * Fetches a part again only where its bytes are out of memory by now: for who reads the tensors of a part in several readings. Nothing is kept in
 * memory for that.
 */
export function fetchedOnce(fetch: (hash: string) => Promise<Uint8Array>): (hash: string) => Promise<Uint8Array> {
  const seen = new Map<string, WeakRef<Uint8Array>>();
  return async (hash) => {
    const known = seen.get(hash)?.deref();
    if (known) return known;
    const bytes = await fetch(hash);
    seen.set(hash, new WeakRef(bytes));
    return bytes;
  };
}

/** Throws ModelError `wrong-weights` for NaN and infinities. */
export function checkFinite(name: string, data: Float32Array): void {
  for (let i = 0; i < data.length; i++) {
    if (Number.isFinite(data[i])) continue;
    throw new ModelError('wrong-weights', `"${name}": value ${i} is ${data[i]}`, { name, index: i });
  }
}

function checkLength({ size_bytes }: Part, { length }: Uint8Array, hash: string): void {
  if (length === size_bytes) return;
  throw new ModelError('wrong-parts', `part ${hash}: its tensors take ${size_bytes} bytes, got ${length}`, { hash });
}
