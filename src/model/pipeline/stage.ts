// One stage of a model on a device's runtime: the interface for who passes activations and gradients between stages.
import { seededRandom } from '../../protocol/random.ts';
import { TensorError } from '../../tensor/errors.ts';
import type { CompiledGraph, Program, Runtime, TensorData, TensorMap } from '../../tensor/runtime.ts';
import { sizeOf } from '../../tensor/shape.ts';
import { momentNames } from '../adamw.ts';
import { checkWeights } from '../check-weights.ts';
import type { LlamaConfig, ParameterSpec, Weights } from '../config.ts';
import { ModelError } from '../errors.ts';
import { checkFinite, decodeFloats, encodeFloats, isWhole, type Layout, packCodes, unpackCodes } from './boundary.ts';
import { readsTokens } from './boundary-graph.ts';
import { type GradientSum, layoutsOf, type StageGraphs, type StageOptions, stageGraphs } from './graphs.ts';

/** What a stage reads of a micro-batch: its tokens, batch × context, row-major, and what the stage before sent; null in the first stage. */
export interface StageInput {
  readonly tokens: Int32Array;
  readonly activations: Uint8Array | null;
  /** The name of the micro-batch: how coded gradients are rounded follows from it, so that who knows it can compute them again. */
  readonly name: string;
}

/** The result of a backward pass: the gradient for the stage before, null in the first stage; in the last stage the micro-batch's mean loss in nats. */
export interface BackwardResult {
  readonly gradient: Uint8Array | null;
  readonly loss: number | null;
}

/** AdamW's moments of a stage and their number of steps. */
export interface StageOptimiser {
  readonly steps: number;
  readonly first: Weights;
  readonly second: Weights;
}

export type StageTensor = 'weights' | 'first' | 'second';

/**
 * A stage in training. It remembers nothing of a micro-batch between calls: who passes one on keeps the input for the backward pass.
 * Bytes of a wrong length or with values that are not finite are ModelErrors `bad-activations`, tokens outside the vocabulary `bad-input`.
 */
export interface Stage {
  /** What it trains: its parameters, by the model's names, and its halves of the boundaries (`boundary.…`). */
  readonly specs: readonly ParameterSpec[];
  /** What it holds besides, and is set with the weights. */
  readonly frozen: readonly ParameterSpec[];
  /** What the next stage gets. Throws ModelError `bad-input` in the last stage, which has `losses`. */
  forward(input: StageInput): Promise<Uint8Array>;
  /** The last stage only: the mean cross-entropy in nats of every sequence. */
  losses(input: StageInput, targets: Int32Array): Promise<Float32Array>;
  /**
   * Adds a micro-batch's gradients to the sums. `from` is the gradient that the next stage sent for the output of `forward` on the same input,
   * or in the last stage the targets.
   */
  backward(input: StageInput, from: Uint8Array | Int32Array): Promise<BackwardResult>;
  /** An AdamW step with the mean gradient of the micro-batches since the last one, which must be at least one; empties the sums. */
  step(learning_rate: number): Promise<{ readonly gradient_norm: number; readonly micro_batches: number }>;
  /** Micro-batches since the last step. */
  readonly pending: number;
  /** The sums of their gradients, in the shape of the weights. */
  gradients(): Promise<Weights>;
  /** Empties the sums without a step. */
  forget(): Promise<void>;
  /** The values of `specs` and `frozen`, or of those named among them. */
  weights(names?: readonly string[]): Promise<Weights>;
  setWeights(weights: Weights): Promise<void>;
  optimiserState(): Promise<StageOptimiser>;
  setOptimiserState(state: StageOptimiser): Promise<void>;
  /**
   * Some tensors alone, by the names of `specs` or, of the weights, `frozen`: for who has no room for all of them. Throws TensorError `unknown-name`,
   * `bad-length`.
   */
  setSome(kind: StageTensor, values: Weights): Promise<void>;
  /** The moments of some parameters. */
  moments(kind: 'first' | 'second', names: readonly string[]): Promise<Weights>;
  /** Steps that the moments have seen. */
  steps: number;
  close(): Promise<void>;
}

/**
 * Loads a stage. Weights must be set before its first micro-batch; moments and sums begin at zero. Weights, moments and sums are held once
 * for all its graphs. Throws as stageSpecs does, and TensorError `unavailable` on a runtime without `loadSharing`.
 */
export async function openStage(runtime: Runtime, config: LlamaConfig, options: StageOptions): Promise<Stage> {
  if (!runtime.loadSharing) {
    throw new TensorError(
      'unavailable',
      `a stage needs a runtime whose programs share states, ${runtime.class} does not`,
    );
  }
  const graphs = stageGraphs(config, options);
  const backward = await runtime.load(graphs.backward);
  const share = (graph: CompiledGraph): Promise<Program> => runtime.loadSharing!(graph, backward);
  return new LoadedStage(config, options, graphs, {
    backward,
    step: await share(graphs.step),
    forward: graphs.forward && (await share(graphs.forward)),
    losses: graphs.losses && (await share(graphs.losses)),
  });
}

interface Programs {
  readonly step: Program;
  readonly backward: Program;
  readonly forward: Program | null;
  readonly losses: Program | null;
}

/** What is sent to the runtime at once, where a tensor is not larger: a message for each tensor would take longer than small ones themselves. */
const ON_THE_WAY_BYTES = 8 << 20;

class LoadedStage implements Stage {
  readonly specs: readonly ParameterSpec[];
  readonly frozen: readonly ParameterSpec[];
  readonly #config: LlamaConfig;
  readonly #options: StageOptions;
  readonly #sums: readonly GradientSum[];
  readonly #programs: Programs;
  readonly #layouts: ReturnType<typeof layoutsOf>;
  steps = 0;
  #pending = 0;

  constructor(config: LlamaConfig, options: StageOptions, { sums, frozen }: StageGraphs, programs: Programs) {
    this.specs = sums.map(({ spec }) => spec);
    this.frozen = frozen;
    this.#layouts = layoutsOf(config, options);
    this.#config = config;
    this.#options = options;
    this.#sums = sums;
    this.#programs = programs;
  }

  get pending(): number {
    return this.#pending;
  }

  async forward(input: StageInput): Promise<Uint8Array> {
    const { forward } = this.#programs;
    if (!forward) throw new ModelError('bad-input', 'forward: the last stage sends nothing on, it has losses');
    const outputs = await forward.run(this.#inputs(input));
    return encoded(this.#layouts.activations_out!, 'sent', outputs);
  }

  async losses(input: StageInput, targets: Int32Array): Promise<Float32Array> {
    const { losses } = this.#programs;
    if (!losses) throw new ModelError('bad-input', 'losses: only the last stage knows the loss');
    const outputs = await losses.run({ ...this.#inputs(input), targets: this.#tokens('targets', targets) });
    return outputs.losses.data as Float32Array;
  }

  async backward(input: StageInput, from: Uint8Array | Int32Array): Promise<BackwardResult> {
    const { gradients_out } = this.#layouts;
    const noise: Record<string, TensorData> = {};
    if (gradients_out && !isWhole(gradients_out)) noise.noise = roundingNoise(gradients_out, input.name);
    const received = this.#received(from, input.name);
    const outputs = await this.#programs.backward.run({ ...this.#inputs(input), ...received, ...noise });
    this.#pending++;
    return {
      gradient: gradients_out && encoded(gradients_out, 'returned', outputs),
      loss: outputs.loss ? outputs.loss.data[0] : null,
    };
  }

  async step(learning_rate: number) {
    const { beta1, beta2 } = this.#options.adamw;
    const micro_batches = this.#pending;
    if (micro_batches === 0) throw new ModelError('bad-input', 'step: expected a micro-batch since the last step');
    if (!Number.isFinite(learning_rate)) {
      throw new ModelError('bad-input', `step: expected a finite learning rate, got ${learning_rate}`);
    }
    this.steps++;
    this.#pending = 0;
    const outputs = await this.#programs.step.run({
      share: scalar(1 / micro_batches),
      learning_rate: scalar(learning_rate),
      bias_correction1: scalar(1 - beta1 ** this.steps),
      bias_correction2: scalar(1 - beta2 ** this.steps),
    });
    return { gradient_norm: outputs.gradient_norm.data[0], micro_batches };
  }

  async gradients(): Promise<Weights> {
    const values = await this.#programs.backward.readState(this.#sums.map(({ name }) => name));
    return new Map(
      this.#sums.map(({ spec, name, shape, transposed }) => {
        const sum = values.get(name)!;
        return [spec.name, transposed ? turned(sum, shape) : sum];
      }),
    );
  }

  async forget(): Promise<void> {
    this.#pending = 0;
    const zeros = new Float32Array(Math.max(...this.#sums.map(({ shape }) => sizeOf(shape))));
    const sums = new Map(this.#sums.map(({ name, shape }) => [name, zeros.subarray(0, sizeOf(shape))]));
    await this.#writeEach(this.#programs.backward, sums, (name) => name);
  }

  weights(names = [...this.specs, ...this.frozen].map(({ name }) => name)): Promise<Weights> {
    return this.#programs.backward.readState(names);
  }

  async setWeights(weights: Weights): Promise<void> {
    await this.#write(this.#programs.backward, [...this.specs, ...this.frozen], weights, (name) => name);
  }

  async optimiserState(): Promise<StageOptimiser> {
    const names = this.specs.map(({ name }) => name);
    return {
      steps: this.steps,
      first: await this.moments('first', names),
      second: await this.moments('second', names),
    };
  }

  async moments(kind: 'first' | 'second', names: readonly string[]): Promise<Weights> {
    const values = await this.#programs.step.readState(names.map((name) => momentNames(name)[kind]));
    return new Map(names.map((name) => [name, values.get(momentNames(name)[kind])!]));
  }

  async setSome(kind: StageTensor, values: Weights): Promise<void> {
    const { backward, step } = this.#programs;
    if (kind === 'weights') await this.#writeEach(backward, values, (name) => name);
    else await this.#writeEach(step, values, (name) => momentNames(name)[kind]);
  }

  async setOptimiserState({ steps, first, second }: StageOptimiser): Promise<void> {
    await this.#write(this.#programs.step, this.specs, first, (name) => momentNames(name).first);
    await this.#write(this.#programs.step, this.specs, second, (name) => momentNames(name).second);
    this.steps = steps;
  }

  async close(): Promise<void> {
    for (const program of Object.values(this.#programs) as (Program | null)[]) await program?.close();
  }

  /** Writes a value for every parameter; refuses a missing one and another length. Others are ignored: a stage takes its own of a model's. */
  async #write(
    program: Program,
    specs: readonly ParameterSpec[],
    weights: Weights,
    stateOf: (name: string) => string,
  ): Promise<void> {
    checkWeights(specs, weights);
    await this.#writeEach(program, new Map(specs.map(({ name }) => [name, weights.get(name)!])), stateOf);
  }

  /** A few at a time: what is on its way to the runtime is copied. */
  async #writeEach(program: Program, values: Weights, stateOf: (name: string) => string): Promise<void> {
    let some = new Map<string, Float32Array>();
    let bytes = 0;
    for (const [name, tensor] of values) {
      if (some.size > 0 && bytes + tensor.byteLength > ON_THE_WAY_BYTES) {
        await program.writeState(some);
        some = new Map();
        bytes = 0;
      }
      some.set(stateOf(name), tensor);
      bytes += tensor.byteLength;
    }
    await program.writeState(some);
  }

  #inputs({ tokens, activations }: StageInput): Record<string, TensorData> {
    const { activations_in } = this.#layouts;
    const inputs: Record<string, TensorData> = {};
    if (readsTokens(this.#options.range, this.#options)) inputs.tokens = this.#tokens('tokens', tokens);
    if (!activations_in) return inputs;
    if (!activations) throw new ModelError('bad-input', 'activations: expected those of the stage before, got none');
    return { ...inputs, ...decoded(activations_in, 'activations', activations) };
  }

  /** What the gradient of this stage's output follows from. */
  #received(from: Uint8Array | Int32Array, name: string): Record<string, TensorData> {
    const { gradients_in } = this.#layouts;
    if (gradients_in && !(from instanceof Int32Array)) {
      const noise = !isWhole(gradients_in) && { 'gradient/noise': roundingNoise(gradients_in, name) };
      return { ...decoded(gradients_in, 'gradient', from), ...noise };
    }
    if (!gradients_in && from instanceof Int32Array) return { targets: this.#tokens('targets', from) };
    const expected = gradients_in ? 'the gradient of the next stage' : 'targets';
    throw new ModelError('bad-input', `backward: expected ${expected}`);
  }

  #tokens(name: string, data: Int32Array): TensorData {
    const { batch, context } = this.#options;
    const wrong = data.find((token) => token < 0 || token >= this.#config.vocab_size);
    if (data.length !== batch * context || wrong !== undefined) {
      const got = wrong === undefined ? `${data.length} of them` : wrong;
      const fact = `${name}: expected ${batch} × ${context} tokens below ${this.#config.vocab_size}, got ${got}`;
      throw new ModelError('bad-input', fact, { name });
    }
    return { dtype: 'int32', shape: [batch, context], data };
  }
}

const scalar = (value: number): TensorData => ({ dtype: 'float32', shape: [], data: Float32Array.of(value) });

/** A boundary's bytes from a graph's outputs of this name. */
function encoded(layout: Layout, name: string, outputs: TensorMap): Uint8Array {
  if (isWhole(layout)) return encodeFloats(outputs[name].data as Float32Array);
  checkFinite(outputs[`${name}/zero`].data as Float32Array);
  const codes = outputs[`${name}/codes`].data as Int32Array;
  return packCodes(layout, { codes, scales: outputs[`${name}/scales`].data as Int32Array });
}

/** The inputs of this name from a boundary's bytes. */
function decoded(layout: Layout, name: string, bytes: Uint8Array): Record<string, TensorData> {
  const shape = [layout.rows, layout.columns];
  if (isWhole(layout)) return { [name]: { dtype: 'float32', shape, data: decodeFloats(layout, bytes) } };
  const { codes, scales } = unpackCodes(layout, bytes);
  return {
    [`${name}/codes`]: { dtype: 'int32', shape, data: codes },
    [`${name}/scales`]: { dtype: 'int32', shape: [scales.length], data: scales },
  };
}

/** Uniform numbers in [0, 1) with 24 bits, which float32 holds exactly, for the rounding of a micro-batch's gradients. */
function roundingNoise({ rows, columns }: Layout, name: string): TensorData {
  const random = seededRandom('boundary rounding', name);
  const data = Float32Array.from({ length: rows * columns }, () => (random.uint32() >>> 8) / 2 ** 24);
  return { dtype: 'float32', shape: [rows, columns], data };
}

/** A matrix of this shape, transposed. */
function turned(values: Float32Array, [rows, columns]: readonly number[]): Float32Array {
  const result = new Float32Array(values.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) result[j * rows + i] = values[i * columns + j];
  return result;
}
