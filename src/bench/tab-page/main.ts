// The page of `npm run bench page`: the training step of `bench compute` on the tab's WASM runtime, timed in the tab.
import '../../web/tab/no-eval.ts';
import { initialWeights } from '../../model/init.ts';
import { createWebWasmRuntime } from '../../tensor/web-runtime.ts';
import type { Trainer } from '../../training/inner.ts';
import { createTrainer } from '../../training/trainer.ts';
import { WASM_FILES } from '../../web/tab/ort-files.ts';
import { ADAMW, batchOf, configOf, LEARNING_RATE, WORKLOADS } from '../compute-workload.ts';

let trainer: Trainer;
let step = 0;
const workload = WORKLOADS.small;

/** Loads the model of config (a). */
async function prepare(threads: number): Promise<void> {
  const config = configOf(workload);
  const { batch, context } = workload;
  const runtime = await createWebWasmRuntime({ files: WASM_FILES, threads });
  trainer = await createTrainer(runtime, config, { batch, context, adamw: ADAMW });
  await trainer.setWeights(initialWeights(config, 1));
}

/** Times some more steps; the same batches as the engines of `bench compute`. */
async function steps(count: number): Promise<{ times_ms: number[]; loss: number }> {
  const times_ms: number[] = [];
  let loss = Number.NaN;
  for (let i = 0; i < count; i++) {
    const batch = batchOf(workload, step++);
    const started_ms = performance.now();
    ({ loss } = await trainer.step(batch, LEARNING_RATE));
    times_ms.push(performance.now() - started_ms);
  }
  return { times_ms, loss };
}

export const page = { prepare, steps };
Object.assign(globalThis, { bench: page });
