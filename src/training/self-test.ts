// Whether a runtime computes right: every operator with its gradients and a small training step, compared with a CPU's. A GPU's kernels
// have been silently wrong before (right loss, wrong gradients; right at 16 tokens, wrong at 32), so it may work only after this.
import { LlamaConfigSchema, type Weights } from '../model/config.ts';
import { initialWeights } from '../model/init.ts';
import { seededRandom } from '../protocol/random.ts';
import { OPERATOR_CASES } from '../tensor/operator-cases.ts';
import { largestDifference, probeOfAll, runProbe } from '../tensor/operator-probe.ts';
import type { Runtime } from '../tensor/runtime.ts';
import type { Batch } from './inner.ts';
import { createTrainer } from './trainer.ts';

/** Every part that a real model has, grouped-query attention included, and odd sizes that fill no tile of a kernel. */
const CONFIG = LlamaConfigSchema.parse({
  vocab_size: 61,
  hidden_size: 48,
  intermediate_size: 80,
  num_hidden_layers: 1,
  num_attention_heads: 4,
  num_key_value_heads: 2,
});
const SHAPE = { batch: 2, context: 67 };
/** Without momentum and without clipping AdamW's first moment is the gradient itself. */
const ADAMW = { beta1: 0, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1, clip: 1e9 };
const STEPS = 2;
const LEARNING_RATE = 1e-3;
/** Other orders of the same sums differ by about 1e-5 of a gradient's length; a wrong kernel by more than 1e-1. */
const TOLERANCE = 1e-3;

/** What a few steps gave: to be compared. */
export interface SelfTestResult {
  /** Results and gradients of the cases of `OPERATOR_CASES`, by case and output. */
  readonly operators: Readonly<Record<string, number[]>>;
  readonly losses: readonly number[];
  readonly gradients: Weights;
}

export interface Comparison {
  readonly ok: boolean;
  /** The largest difference found, relative to what it is compared with, and where. */
  readonly worst: number;
  readonly where: string;
}

/** All operators in one graph, and two steps of a small model. Throws TensorError where the runtime cannot run them at all. */
export async function runSelfTest(runtime: Runtime): Promise<SelfTestResult> {
  const operators = await runProbe(runtime, probeOfAll(OPERATOR_CASES));
  return { operators, ...(await trainASmallModel(runtime)) };
}

/** Two steps: the loss of each, and the gradients of the last. */
export async function trainASmallModel(runtime: Runtime): Promise<Omit<SelfTestResult, 'operators'>> {
  const trainer = await createTrainer(runtime, CONFIG, { ...SHAPE, adamw: ADAMW });
  try {
    await trainer.setWeights(initialWeights(CONFIG, 'self-test'));
    const losses: number[] = [];
    for (let step = 0; step < STEPS; step++) losses.push((await trainer.step(batchOf(step), LEARNING_RATE)).loss);
    return { losses, gradients: (await trainer.optimiserState()).first };
  } finally {
    await trainer.close();
  }
}

function batchOf(step: number): Batch {
  const random = seededRandom('potluck/self-test', step);
  const draw = () => Int32Array.from({ length: SHAPE.batch * SHAPE.context }, () => random.below(CONFIG.vocab_size));
  return { tokens: draw(), targets: draw() };
}

/** Compares the operators one by one, the losses, and each gradient as a whole: the length of the difference against the length of the gradient. */
export function compareSelfTests(found: SelfTestResult, reference: SelfTestResult): Comparison {
  let worst = 0;
  let where = 'nothing';
  const note = (place: string, difference: number): void => {
    if (difference <= worst) return;
    worst = difference;
    where = place;
  };
  for (const [output, values] of Object.entries(reference.operators)) {
    note(output, largestDifference({ y: found.operators[output] ?? [] }, { y: values }));
  }
  reference.losses.forEach((loss, i) => {
    note('loss', finite(Math.abs(found.losses[i] - loss) / Math.abs(loss)));
  });
  for (const [name, gradient] of reference.gradients) note(name, distance(found.gradients.get(name)!, gradient));
  return { ok: worst <= TOLERANCE, worst, where };
}

function distance(found: Float32Array, reference: Float32Array): number {
  let difference = 0;
  let length = 0;
  for (let i = 0; i < reference.length; i++) {
    difference += (found[i] - reference[i]) ** 2;
    length += reference[i] ** 2;
  }
  return finite(Math.sqrt(difference / (length || 1)));
}

/** Not a number is as wrong as can be. */
const finite = (value: number): number => (Number.isFinite(value) ? value : Number.POSITIVE_INFINITY);
