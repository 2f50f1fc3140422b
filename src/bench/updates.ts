// What an update costs beside the training, a million parameters: writing and reading it, merging four, and the model that comes of it.
import { modelTensors } from '../model/checkpoint.ts';
import { LlamaConfigSchema, parameterSpecs } from '../model/config.ts';
import { writeParts } from '../model/parts.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { seededRandom } from '../protocol/random.ts';
import { sizeOf } from '../tensor/shape.ts';
import { mergeUpdates } from '../training/outer.ts';
import { compressUpdate, decodeUpdate, encodeUpdate, SparseOptionsSchema } from '../training/sparse.ts';
import { median } from '../training/statistics.ts';
import { type Report, type Values, whole } from './bench.ts';
import { BenchError } from './errors.ts';
import { cpuSecondsOf, table } from './report.ts';

export const options = {
  width: whole('of a model with four layers, a multiple of 16; 256 gives 3.3 million parameters', {
    ...{ from: 16, to: 4096, usual: 256 },
  }),
};

export const notes = `Updates of four workers, whose kept values gather in certain rows and columns as those of trained models do. Milliseconds of processor
time of all the process's threads for a million parameters: medians of seven, after three that warm up.`;

const TIMES = 7;
const WARM_UP = 3;
const WORKERS = 4;

export async function run({ width }: Values<typeof options>): Promise<Report> {
  if (width % 16 !== 0) throw new BenchError('usage', `--width: expected a multiple of 16, got ${width}`);
  const { parameters, costs } = await measure(width);
  const rows = Object.entries(costs).map(([what, milliseconds]) => [what, milliseconds.toFixed(1)]);
  const text = table([`of ${(parameters / 1e6).toFixed(1)} million parameters`, 'ms a million'], rows);
  return { data: { parameters, costs }, text };
}

async function measure(width: number): Promise<{ parameters: number; costs: Record<string, number> }> {
  const model = LlamaConfigSchema.parse({
    ...{ vocab_size: 256, hidden_size: width, intermediate_size: Math.round((width * 8) / 3 / 16) * 16 },
    ...{ num_hidden_layers: 4, num_attention_heads: 4, max_position_embeddings: 128 },
  });
  const sparse = SparseOptionsSchema.parse({});
  const specs = parameterSpecs(model);
  const parameters = specs.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const learned = Array.from({ length: WORKERS }, (_, worker) => {
    const random = seededRandom('bench updates', worker);
    return new Map(
      specs.map(({ name, shape }) => {
        const columns = shape.at(-1)!;
        const strength = Array.from({ length: columns }, () => 0.3 + (random.below(1000) / 1000) ** 2);
        const value = (_: unknown, i: number): number => (random.below(2001) - 1000) * 1e-6 * strength[i % columns];
        return [name, Float32Array.from({ length: sizeOf(shape) }, value)];
      }),
    );
  });
  const updates = learned.map((delta) => compressUpdate(specs, delta, new Map(), sparse));
  const bytes = encodeUpdate(specs, updates[0], sparse);
  const merge = () =>
    mergeUpdates(
      specs,
      learned[0],
      updates.map((update) => ({ update, weight: 1 })),
      sparse,
    );
  const tensors = modelTensors(model, 'f32');
  const named = () =>
    writeParts(
      tensors,
      tensors.map(({ name }) => learned[0].get(name)!),
      async (part) => sha256Hex(part),
    );
  const cost = async (work: () => unknown): Promise<number> => (1e6 * (await timeOf(work))) / parameters;
  return {
    parameters,
    costs: {
      'compressing what was learned': await cost(() => compressUpdate(specs, learned[0], new Map(), sparse)),
      'writing an update': await cost(() => encodeUpdate(specs, updates[0], sparse)),
      'reading one, and that it has no other form': await cost(() => decodeUpdate(specs, bytes, sparse)),
      [`merging ${WORKERS}`]: await cost(merge),
      'the hashes of the model, part by part': await cost(named),
    },
  };
}

/** The median milliseconds of processor time. */
async function timeOf(work: () => unknown): Promise<number> {
  const times: number[] = [];
  while (times.length < WARM_UP + TIMES) times.push(1000 * (await cpuSecondsOf(work)));
  return median(times.slice(WARM_UP));
}
