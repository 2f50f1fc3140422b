// A process of `bench pipeline` that trains one stage, or the whole model, for a few steps and says how much memory it had at most.
import { initialWeights } from '../model/init.ts';
import { estimatedLoads, splitModel, stageSpecs } from '../model/pipeline/split.ts';
import { openStage } from '../model/pipeline/stage.ts';
import { Graph } from '../tensor/graph.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { add } from '../tensor/ops.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { createTrainer } from '../training/trainer.ts';
import { ADAMW, batchOf, configOf, LEARNING_RATE } from './compute-workload.ts';
import { type MemoryTask, MemoryTaskSchema } from './pipeline-memory.ts';

const STEPS = 3;
const MICRO_BATCHES = 2;
const SEED = 1;

/** ONNX Runtime is loaded with the first graph: it belongs to what every process of this kind has. */
async function startRuntime(runtime: Runtime): Promise<void> {
  const graph = new Graph();
  graph.output('y', add(graph.input('x', 'float32', [1]), 1));
  const program = await runtime.load(graph.compile());
  await program.run({ x: { dtype: 'float32', shape: [1], data: Float32Array.of(1) } });
  await program.close();
}

const peakBytes = (): number => 1024 * process.resourceUsage().maxRSS;

async function trainWhole(runtime: Runtime, { workload }: MemoryTask): Promise<void> {
  const { batch } = workload;
  const config = configOf(workload);
  const trainer = await createTrainer(runtime, config, { batch, context: workload.context, adamw: ADAMW });
  await trainer.setWeights(initialWeights(config, SEED));
  for (let step = 0; step < STEPS; step++) await trainer.step(batchOf(workload, step), LEARNING_RATE);
}

async function trainStage(runtime: Runtime, { workload, stages, stage: at }: MemoryTask): Promise<void> {
  const { batch } = workload;
  const config = configOf(workload);
  const shape = { batch, context: workload.context };
  const range = splitModel(estimatedLoads(config, shape), stages)[at!];
  const stage = await openStage(runtime, config, { ...shape, range, adamw: ADAMW });
  await stage.setWeights(initialWeights(config, SEED, stageSpecs(config, range)));
  const boundary = new Uint8Array(new Float32Array(batch * workload.context * config.hidden_size).fill(0.01).buffer);
  for (let step = 0; step < STEPS; step++) {
    for (let micro = 0; micro < MICRO_BATCHES; micro++) {
      const { tokens, targets } = batchOf(workload, step * MICRO_BATCHES + micro);
      const input = { tokens, activations: range.embedding ? null : boundary, name: `${step} ${micro}` };
      if (!range.head) await stage.forward(input);
      await stage.backward(input, range.head ? targets : boundary);
    }
    await stage.step(LEARNING_RATE);
  }
}

const task = MemoryTaskSchema.parse(JSON.parse(process.argv[2]));
const runtime = await createNativeRuntime({ threads: 1 });
await startRuntime(runtime);
const idle_bytes = peakBytes();
await (task.stage === null ? trainWhole : trainStage)(runtime, task);
console.log(JSON.stringify({ idle_bytes, peak_bytes: peakBytes() }));
await runtime.close();
