// One engine of `bench compute` in its own process: reads commands as lines of JSON, runs steps, answers with their times.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { initialWeights } from '../model/init.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { createWasmRuntime } from '../tensor/wasm-runtime.ts';
import { createTrainer } from '../training/trainer.ts';
import { ADAMW, batchOf, configOf, LEARNING_RATE, WORKLOADS } from './compute-workload.ts';

/** The largest resident size this process has had. Linux keeps it as VmHWM; elsewhere getrusage has the same. */
function peakBytes(): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}

const idle_bytes = process.memoryUsage.rss();
const { values } = parseArgs({
  options: { engine: { type: 'string' }, size: { type: 'string' }, threads: { type: 'string' } },
});
const workload = WORKLOADS[values.size!];
const threads = Number(values.threads);
const runtime = await (values.engine === 'wasm'
  ? createWasmRuntime({ threads })
  : createNativeRuntime({ threads, alone: values.engine === 'native-alone' }));
const config = configOf(workload);
const trainer = await createTrainer(runtime, config, {
  batch: workload.batch,
  context: workload.context,
  adamw: ADAMW,
});
await trainer.setWeights(initialWeights(config, 1));
// They are in the runtime now, and what is left of their making is no part of a step: PyTorch has let go of it, too.
globalThis.gc!();

const answer = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);
answer({ about: `ONNX Runtime ${values.engine}`, idle_bytes });

let step = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const { steps } = JSON.parse(line) as { steps: number };
  const times_ms: number[] = [];
  let loss = Number.NaN;
  for (let i = 0; i < steps; i++) {
    const batch = batchOf(workload, step++);
    const started = performance.now();
    ({ loss } = await trainer.step(batch, LEARNING_RATE));
    times_ms.push(performance.now() - started);
  }
  answer({ times_ms, loss, peak_bytes: peakBytes() });
}
await runtime.close();
