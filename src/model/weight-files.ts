// Reads the weights in a model's folder tensor by tensor through file handles, so that memory holds the result and one piece of a file.
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { firstIssue } from '../errors.ts';
import { sizeOf } from '../tensor/shape.ts';
import { type LlamaConfig, parameterSpecs, type Weights } from './config.ts';
import { decodeValues } from './dtypes.ts';
import { ModelError } from './errors.ts';
import { checkFinite } from './parts.ts';
import { readJson } from './read-json.ts';
import { type HeaderEntry, headerLength, PREFIX_BYTES, parseHeader } from './safetensors.ts';

const ONE_FILE = 'model.safetensors';
const INDEX_FILE = 'model.safetensors.index.json';
/** How much is read at once; every dtype's width divides it. One system call reads less than 2 GiB. */
const PIECE_BYTES = 16 * 2 ** 20;
/** transformers splits models of hundreds of gigabytes into some hundred files. */
const LIMIT_FILES = 1000;

const IndexSchema = z.object({ weight_map: z.record(z.string(), z.string().regex(/^[\w.-]+\.safetensors$/)) });

/** A tensor of an open file. */
interface StoredTensor extends HeaderEntry {
  readonly file: OpenFile;
}

interface OpenFile {
  readonly name: string;
  readonly handle: FileHandle;
  /** The offset of the tensors' bytes in the file. */
  readonly data_start: number;
}

/** All that weightsIn yields, by name. If they exceed `limit_bytes` of float32, none is read: ModelError `too-large`. */
export async function readWeights(
  dir: string,
  config: LlamaConfig,
  limit_bytes = Number.POSITIVE_INFINITY,
): Promise<Weights> {
  const specs = parameterSpecs(config);
  const size_bytes = specs.reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
  if (size_bytes > limit_bytes) {
    const fact = `the weights take ${gigabytes(size_bytes)} in float32, at most ${gigabytes(limit_bytes)} are accepted`;
    throw new ModelError('too-large', fact, { size_bytes, limit_bytes });
  }
  const weights = new Map<string, Float32Array>();
  for await (const data of weightsIn(dir, config)) weights.set(specs[weights.size].name, data);
  return weights;
}

/**
 * The weights that `config` demands, from a folder that transformers has saved in one file or several, as float32, in the order of `parameterSpecs`.
 * Throws ModelError `missing-file`, `corrupt-file`, `unsupported` (a dtype, another format), `too-large`, `wrong-weights`.
 */
export async function* weightsIn(dir: string, config: LlamaConfig): AsyncGenerator<Float32Array> {
  const files: OpenFile[] = [];
  try {
    const tensors = await openTensors(dir, files);
    checkNames(config, tensors);
    for (const { name } of parameterSpecs(config)) {
      const data = await readTensor(tensors.get(name)!);
      checkFinite(name, data);
      yield data;
    }
  } finally {
    await Promise.all(files.map(({ handle }) => handle.close()));
  }
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(2)} GB`;

/** Every tensor of the folder by its name. Opened files are added to `files`, also when this throws. */
async function openTensors(dir: string, files: OpenFile[]): Promise<Map<string, StoredTensor>> {
  const weight_map = await readIndex(dir);
  const names = weight_map ? [...new Set(Object.values(weight_map))].sort() : [ONE_FILE];
  if (names.length > LIMIT_FILES) {
    throw new ModelError('too-large', `${INDEX_FILE}: ${names.length} files, at most ${LIMIT_FILES} are read`);
  }
  const tensors = new Map<string, StoredTensor>();
  for (const name of names) {
    for (const entry of await openFile(dir, name, files)) {
      if (!weight_map || weight_map[entry.name] === name) tensors.set(entry.name, { ...entry, file: files.at(-1)! });
    }
  }
  return tensors;
}

async function readIndex(dir: string): Promise<Readonly<Record<string, string>> | null> {
  const index = await readJson(join(dir, INDEX_FILE));
  if (index === null) return null;
  const parsed = IndexSchema.safeParse(index);
  if (!parsed.success) throw new ModelError('corrupt-file', `${INDEX_FILE}: ${firstIssue(parsed.error)}`);
  return parsed.data.weight_map;
}

async function openFile(dir: string, name: string, files: OpenFile[]): Promise<HeaderEntry[]> {
  const handle = await open(join(dir, name)).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw unreadable(name, error);
    throw name === ONE_FILE ? await missingWeights(dir) : missing(name);
  });
  const opened = { name, handle, data_start: 0 };
  files.push(opened);
  return inFile(name, async () => {
    const { size } = await handle.stat();
    const header_bytes = headerLength(await readBytes(handle, 0, Math.min(PREFIX_BYTES, size)), size);
    const data_start = PREFIX_BYTES + header_bytes;
    files[files.length - 1] = { ...opened, data_start };
    return parseHeader(await readBytes(handle, PREFIX_BYTES, header_bytes), size - data_start);
  });
}

/** The same error, with the file's name before its message. */
async function inFile<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ModelError)) throw unreadable(name, error as NodeJS.ErrnoException);
    throw new ModelError(error.code, `${name}: ${error.message}`, error.details);
  }
}

const missing = (name: string) => new ModelError('missing-file', `${name} is missing`, { name });
const unreadable = (name: string, { code, message }: NodeJS.ErrnoException) =>
  new ModelError('missing-file', `${name} cannot be read: ${code ?? message}`, { name });

/** Files that people have instead of safetensors: each is refused by its name, with advice. */
const OTHER_FORMATS: readonly { readonly name: RegExp; readonly why: string }[] = [
  {
    name: /^(pytorch_model.*\.bin(\.index\.json)?|consolidated.*\.pth|.*\.(pt|pth|ckpt))$/,
    why:
      'is a pickle, which may run code when it is opened, so it is never read; write the model anew as safetensors, in Python: ' +
      "AutoModelForCausalLM.from_pretrained('DIR').save_pretrained('DIR')",
  },
  { name: /\.gguf$/, why: "is GGUF, which is not read; take the model's safetensors" },
  {
    name: /^adapter_model\.(safetensors|bin)$/,
    why: 'is an adapter; merge it into its model first (merge_and_unload)',
  },
  { name: /^(consolidated.*|.*)\.safetensors$/, why: `is not the file of that name that transformers reads` },
  { name: /^(tf_model\.h5|flax_model\.msgpack)$/, why: 'is not a safetensors file; let transformers write one' },
];

async function missingWeights(dir: string): Promise<ModelError> {
  const names = await readdir(dir);
  for (const { name: pattern, why } of OTHER_FORMATS) {
    const name = names.find((name) => pattern.test(name));
    if (name) return new ModelError('unsupported', `${ONE_FILE} is missing, and ${name} ${why}`, { name });
  }
  return missing(ONE_FILE);
}

/** Exactly these bytes of a file. */
async function readBytes(handle: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(bytes, done, Math.min(PIECE_BYTES, length - done), position + done);
    if (bytesRead === 0) throw new ModelError('corrupt-file', `the file ends at ${position + done} bytes`);
    done += bytesRead;
  }
  return bytes;
}

function readTensor({ file, dtype, shape, start, end }: StoredTensor): Promise<Float32Array> {
  return inFile(file.name, async () => {
    const data = new Float32Array(sizeOf(shape));
    let filled = 0;
    for (let at = start; at < end; at += PIECE_BYTES) {
      const piece = await readBytes(file.handle, file.data_start + at, Math.min(PIECE_BYTES, end - at));
      const values = decodeValues(dtype, piece);
      data.set(values, filled);
      filled += values.length;
    }
    return data;
  });
}

/** Tensors that older versions and other tools store beside the weights; they follow from the configuration or are not used. */
function isLeftOut(config: LlamaConfig, name: string): boolean {
  if (name.endsWith('.rotary_emb.inv_freq')) return true;
  // A file may contain a tied head as well; transformers ignores it in favour of the embedding, and so do we.
  return config.tie_word_embeddings && name === 'lm_head.weight';
}

function checkNames(config: LlamaConfig, tensors: ReadonlyMap<string, StoredTensor>): void {
  const specs = new Map(parameterSpecs(config).map((spec) => [spec.name, spec]));
  for (const { name, shape } of specs.values()) {
    const stored = tensors.get(name);
    if (!stored) throw new ModelError('wrong-weights', `the weight "${name}" is missing`, { name });
    if (stored.shape.join() !== shape.join()) {
      const fact = `has the shape [${stored.shape.join(', ')}], expected [${shape.join(', ')}]`;
      throw new ModelError('wrong-weights', `"${name}" ${fact}`, { name, shape: stored.shape, expected: shape });
    }
  }
  const extra = [...tensors.keys()].find((name) => !specs.has(name) && !isLeftOut(config, name));
  if (extra) throw new ModelError('wrong-weights', `"${extra}" is no weight of this model`, { name: extra });
}
