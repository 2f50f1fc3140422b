// An ONNX model under construction whose dimensions may be free: operators and tensors by name. ONNX Runtime infers the shapes between them.
import type { Attribute } from './ir.ts';
import type { FileNode, FileTensor, MICROSOFT } from './onnx-file.ts';

export const int = (value: number): Attribute => ({ kind: 'int', value });
export const real = (value: number): Attribute => ({ kind: 'float', value });
export const axes = (...value: readonly number[]): Attribute => ({ kind: 'ints', value });

type Attributes = Readonly<Record<string, Attribute>>;

/** Nodes and tensors under construction; values are names. */
export interface Building {
  readonly nodes: FileNode[];
  readonly tensors: Map<string, FileTensor>;
  /** Appends an operator with one output, named `output` where given. */
  op(
    op: string,
    inputs: readonly string[],
    attributes?: Attributes,
    output?: string,
    domain?: typeof MICROSOFT,
  ): string;
  /** Cuts a value along an axis into parts, whose lengths are a vector of int64. */
  split(x: string, lengths: string, axis: number, count: number): string[];
  /** A vector of int64, or a scalar. */
  ints(values: readonly number[] | number): string;
  float(value: number): string;
  tensor(name: string, dtype: FileTensor['dtype'], shape: readonly number[], data: ArrayBufferView): string;
}

export function startBuilding(): Building {
  const nodes: FileNode[] = [];
  const tensors = new Map<string, FileTensor>();
  const tensor: Building['tensor'] = (name, dtype, shape, { buffer, byteOffset, byteLength }) => {
    tensors.set(name, { name, dtype, shape, bytes: new Uint8Array(buffer, byteOffset, byteLength) });
    return name;
  };
  return {
    nodes,
    tensors,
    tensor,
    op(op, inputs, attributes = {}, output = `${op}_${nodes.length}`, domain?) {
      nodes.push({ op, inputs, outputs: [output], attributes, ...(domain && { domain }) });
      return output;
    },
    split(x, lengths, axis, count) {
      const outputs = Array.from({ length: count }, (_, i) => `Split_${nodes.length}_${i}`);
      nodes.push({ op: 'Split', inputs: [x, lengths], outputs, attributes: { axis: int(axis) } });
      return outputs;
    },
    ints(values) {
      const list = typeof values === 'number' ? [values] : values;
      const name = `int64 ${typeof values === 'number' ? values : `[${values}]`}`;
      return tensor(name, 'int64', typeof values === 'number' ? [] : [list.length], BigInt64Array.from(list, BigInt));
    },
    float: (value) => tensor(`float32 ${value}`, 'float32', [], Float32Array.of(value)),
  };
}
