// Whether a device computes on its GPU or on its CPU: on the GPU if it computes right and is the faster of the two at the run's own
// training step. The same rule in a tab and in Node.
import { CodedError } from '../errors.ts';
import type { AdamwOptions } from '../model/adamw.ts';
import type { LlamaConfig } from '../model/config.ts';
import { initialWeights } from '../model/init.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { compareSelfTests, runSelfTest } from './self-test.ts';
import { createTrainer } from './trainer.ts';

/** Steps that are timed after a first one that only warms up. */
const TIMED_STEPS = 3;
/** How much of an error's text is repeated, in characters. */
const REASON_CHARACTERS = 200;

/** The step whose speed decides. */
export interface TrainingStep {
  readonly model: LlamaConfig;
  readonly batch: number;
  readonly context: number;
  readonly adamw: AdamwOptions;
}

export interface GpuTrial {
  readonly gpu: Runtime;
  readonly cpu: Runtime;
  /** What people call them. */
  readonly names: { readonly gpu: string; readonly cpu: string };
  /** The owner asked for the GPU by name: it is taken if it computes right, however fast it is. */
  readonly asked: boolean;
  /** Null for a game that trains nothing: the GPU is taken if it computes right. */
  readonly step: TrainingStep | null;
}

export interface GpuVerdict {
  readonly taken: boolean;
  /** Why, in plain words. */
  readonly why: string;
  /** What was timed, where both were. */
  readonly measured: readonly { readonly class: Runtime['class']; readonly tokens_per_second: number }[];
}

/** Tries a GPU. Throws TensorError where it was asked for by name and cannot compute at all. */
export async function tryGpu(trial: GpuTrial): Promise<GpuVerdict> {
  try {
    return await tried(trial);
  } catch (error) {
    if (!(error instanceof CodedError) || trial.asked) throw error;
    return refused(`${trial.names.gpu} failed its self-test: ${error.message.slice(0, REASON_CHARACTERS)}`);
  }
}

const refused = (why: string, measured: GpuVerdict['measured'] = []): GpuVerdict => ({ taken: false, why, measured });

async function tried({ gpu, cpu, names, asked, step }: GpuTrial): Promise<GpuVerdict> {
  const { ok, worst, where } = compareSelfTests(await runSelfTest(gpu), await runSelfTest(cpu));
  const off = worst.toExponential(1);
  if (!ok) return refused(`${names.gpu} failed its self-test: ${where} is off by ${off}`);
  const passed = `${names.gpu} passed its self-test (largest difference ${off})`;
  if (asked || step === null) return { taken: true, why: passed, measured: [] };
  const onGpu = await speedOf(gpu, step);
  const onCpu = await speedOf(cpu, step);
  const measured = [
    { class: gpu.class, tokens_per_second: onGpu },
    { class: cpu.class, tokens_per_second: onCpu },
  ];
  if (onCpu > onGpu) return refused(`${passed}, but ${names.cpu} is faster here`, measured);
  return { taken: true, why: `${passed} and is faster here`, measured };
}

/** Tokens a second of a training step. */
async function speedOf(runtime: Runtime, { model, batch, context, adamw }: TrainingStep): Promise<number> {
  const trainer = await createTrainer(runtime, model, { batch, context, adamw });
  try {
    await trainer.setWeights(initialWeights(model, 'speed'));
    const tokens = new Int32Array(batch * context);
    await trainer.step({ tokens, targets: tokens }, 0);
    const started_ms = performance.now();
    for (let step = 0; step < TIMED_STEPS; step++) await trainer.step({ tokens, targets: tokens }, 0);
    return (TIMED_STEPS * tokens.length * 1000) / (performance.now() - started_ms);
  } finally {
    await trainer.close();
  }
}
