// A graph under construction: typed values, ONNX operators, and a tape of gradient rules (reverse mode, Griewank & Walther).
import { TensorError } from './errors.ts';
import { fuseSums } from './fuse-sums.ts';
import type { Attribute, Constant, DType, GraphData, GraphNode, NamedTensor, TensorType } from './ir.ts';
import { encodeOnnx } from './onnx.ts';
import type { CompiledGraph } from './runtime.ts';
import { shapeText, sizeOf } from './shape.ts';

/** A value of one graph. Only a Graph makes them; two values are the same if they are the same object. */
export interface Value extends NamedTensor {
  readonly graph: Graph;
}

/**
 * Computes the gradients of an operator's inputs from those of its outputs (null: that output does not reach the loss).
 * `wanted[i]` is false where the gradient of input i is not needed; the rule may then return null for it.
 */
export type GradientRule = (
  dy: readonly (Value | null)[],
  wanted: readonly boolean[],
) => readonly (Value | null | undefined)[];

/** One differentiable operation on the tape. */
export interface TapeEntry {
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly rule: GradientRule;
}

/** The error of an operator that does not accept these shapes. */
export function shapeError(op: string, fact: string, ...values: readonly TensorType[]): TensorError {
  const shapes = values.map((value) => shapeText(value.shape));
  return new TensorError('bad-shape', `${op}: ${fact}, got ${shapes.join(' and ')}`, { op, shapes });
}

/** Builds one graph. Operators are functions over its values (ops*.ts); every shape is known at once. */
export class Graph {
  readonly #nodes: GraphNode[] = [];
  readonly #inputs: NamedTensor[] = [];
  readonly #states = new Map<string, { value: Value; next: Value | null }>();
  readonly #outputs = new Map<string, Value>();
  readonly #constants: Constant[] = [];
  readonly #memo = new Map<string, Value>();
  readonly #names = new Set<string>();
  readonly #shapes = new Map<string, string>();
  readonly #zeros = new Set<string>();
  readonly #tape: TapeEntry[] = [];
  #taping = true;
  #count = 0;

  /** The recorded operations, in the order in which they were computed. */
  get tape(): readonly TapeEntry[] {
    return this.#tape;
  }

  /** A value that the caller passes in at every run. */
  input(name: string, dtype: 'float32' | 'int32', shape: readonly number[]): Value {
    const value = this.#value(this.#claim(name), dtype, shape);
    this.#inputs.push({ name, dtype, shape: value.shape });
    return value;
  }

  /** A float32 value that stays inside the runtime between runs; it is constant unless `advance` gives it a next value. */
  state(name: string, shape: readonly number[]): Value {
    const value = this.#value(this.#claim(name), 'float32', shape);
    this.#states.set(name, { value, next: null });
    return value;
  }

  /** Declares the next value of a state after a run. */
  advance(state: Value, next: Value): void {
    const entry = this.#states.get(state.name);
    if (entry?.value !== state)
      throw new TensorError('bad-graph', `advance: ${state.name} is not a state of this graph`);
    this.#own('advance', next);
    if (next.dtype !== 'float32' || shapeText(next.shape) !== shapeText(state.shape)) {
      throw shapeError('advance', `the state ${state.name} and its successor must have one shape`, state, next);
    }
    entry.next = next;
  }

  /** Names a result that every run returns. */
  output(name: string, value: Value): void {
    this.#own('output', value);
    this.#outputs.set(this.#claim(name), value);
  }

  /** A constant stored in the graph. */
  constant(dtype: DType, shape: readonly number[], data: Constant['data']): Value {
    if (data.length !== sizeOf(shape)) {
      throw new TensorError(
        'bad-length',
        `constant: ${shapeText(shape)} holds ${sizeOf(shape)} values, got ${data.length}`,
      );
    }
    const value = this.#value(this.#fresh('constant'), dtype, shape);
    this.#constants.push({ name: value.name, dtype, shape: value.shape, data });
    return value;
  }

  /** A float32 or int32 constant of rank 0; the same number gives the same value. */
  scalar(number: number, dtype: 'float32' | 'int32' = 'float32'): Value {
    return this.memoised(`${dtype} ${Object.is(number, -0) ? '-0' : number}`, () =>
      this.constant(dtype, [], dtype === 'float32' ? Float32Array.of(number) : Int32Array.of(number)),
    );
  }

  /** A vector of int64, as operators take axes, shapes and sizes. */
  ints(numbers: readonly number[]): Value {
    return this.memoised(`int64 ${numbers.join()}`, () => this.constant('int64', [numbers.length], [...numbers]));
  }

  /** Declares that all elements of a value are zero. */
  markZero(value: Value): void {
    this.#zeros.add(value.name);
  }

  /** Appends one ONNX operator. The caller states the shapes; only ops*.ts, which infer them, should call this. */
  node(
    op: string,
    inputs: readonly (Value | null)[],
    outputs: readonly TensorType[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): Value[] {
    for (const value of inputs) if (value) this.#own(op, value);
    const values = outputs.map((type) => this.#value(this.#fresh(op), type.dtype, type.shape));
    this.#nodes.push({
      op,
      inputs: inputs.map((value) => value?.name ?? ''),
      outputs: values.map((value) => value.name),
      attributes,
    });
    return values;
  }

  /** Records a gradient rule for what was just computed. Inside `untaped` nothing is recorded. */
  record(inputs: readonly Value[], outputs: readonly Value[], rule: GradientRule): void {
    if (this.#taping) this.#tape.push({ inputs, outputs, rule });
  }

  /** Computes without recording rules: for gradients, and for operations with one rule for all of it. */
  untaped<T>(compute: () => T): T {
    const before = this.#taping;
    this.#taping = false;
    try {
      return compute();
    } finally {
      this.#taping = before;
    }
  }

  /** The graph as plain data, without unused nodes and constants. States are inputs and, if advanced, outputs. */
  data(): GraphData {
    const results = new Map<string, Value>(this.#outputs);
    for (const [name, { next }] of this.#states) if (next) results.set(nextName(name), next);
    const nodes = [...this.#nodes];
    // A result gets its public name where it is computed; a value with two public names, or not made by a node, is copied.
    const renamed = new Map<string, string>();
    const made = new Set(nodes.flatMap((node) => node.outputs));
    for (const [name, value] of results) {
      if (made.has(value.name) && !renamed.has(value.name)) renamed.set(value.name, name);
      else nodes.push({ op: 'Identity', inputs: [value.name], outputs: [name], attributes: {} });
    }
    const needed = new Set([...results.keys()].concat([...results.values()].map((value) => value.name)));
    const kept: GraphNode[] = [];
    for (const node of nodes.toReversed()) {
      if (!node.outputs.some((name) => needed.has(name))) continue;
      for (const name of node.inputs) needed.add(name);
      kept.push(node);
    }
    const rename = (name: string): string => renamed.get(name) ?? name;
    const states = [...this.#states.values()].map(({ value }) => typed(value.name, value));
    const data: GraphData = {
      nodes: kept
        .reverse()
        .map((node) => ({ ...node, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) })),
      inputs: [...this.#inputs, ...states],
      outputs: [...results].map(([name, value]) => typed(name, value)),
      constants: this.#constants.filter((constant) => needed.has(constant.name)),
    };
    const shapes = new Map([...this.#shapes].map(([name, shape]) => [rename(name), shape]));
    return fuseSums(data, shapes, this.#zeros);
  }

  /** The graph as ONNX bytes with the names that a runtime needs. */
  compile(): CompiledGraph {
    return {
      onnx: encodeOnnx(this.data()),
      inputs: this.#inputs.map((input) => input.name),
      outputs: [...this.#outputs.keys()],
      states: [...this.#states].map(([name, { value, next }]) => ({
        name,
        next: next ? nextName(name) : null,
        shape: value.shape,
      })),
    };
  }

  #own(op: string, value: Value): void {
    if (value.graph !== this)
      throw new TensorError('bad-graph', `${op}: ${value.name} belongs to another graph`, { op });
  }

  #claim(name: string): string {
    if (name === '' || this.#names.has(name)) {
      throw new TensorError('bad-name', `a name must be new and not empty, got "${name}"`, { name });
    }
    this.#names.add(name);
    return name;
  }

  #fresh(op: string): string {
    let name: string;
    do name = `${op}_${this.#count++}`;
    while (this.#names.has(name));
    return this.#claim(name);
  }

  #value(name: string, dtype: DType, shape: readonly number[]): Value {
    // Only a list of int64 may be empty: the shape of a scalar.
    const least = dtype === 'int64' ? 0 : 1;
    if (!shape.every((dimension) => Number.isSafeInteger(dimension) && dimension >= least)) {
      throw new TensorError(
        'bad-shape',
        `${name}: every dimension must be a positive integer, got ${shapeText(shape)}`,
      );
    }
    this.#shapes.set(name, shapeText(shape));
    return { graph: this, name, dtype, shape: [...shape] };
  }

  /** The value cached under a key, made on first use: constants that many layers share. */
  memoised(key: string, make: () => Value): Value {
    const known = this.#memo.get(key);
    if (known) return known;
    const value = make();
    this.#memo.set(key, value);
    return value;
  }
}

function nextName(state: string): string {
  return `${state}/next`;
}

function typed(name: string, { dtype, shape }: TensorType): NamedTensor {
  return { name, dtype, shape };
}
