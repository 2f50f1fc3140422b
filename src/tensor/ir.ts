// The graph as plain data: the builder makes it, the ONNX encoder writes it.

export type DType = 'float32' | 'int32' | 'int64' | 'bool';

/** A typed value: every dimension is known when the graph is built. */
export interface TensorType {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

export interface NamedTensor extends TensorType {
  readonly name: string;
}

/** A constant stored in the graph. int64 values are written from safe integers; bool as 0 or 1. */
export interface Constant extends NamedTensor {
  readonly data: Float32Array | Int32Array | readonly number[];
}

/** ONNX distinguishes integers, floats and strings, so attributes do too. */
export type Attribute =
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string };

/** One ONNX operator of the default domain; an empty input name stands for an omitted optional input. */
export interface GraphNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** A whole graph; its nodes are ordered so that every value is made before it is used. */
export interface GraphData {
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly NamedTensor[];
  readonly outputs: readonly NamedTensor[];
  readonly constants: readonly Constant[];
}
