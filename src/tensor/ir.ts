// The graph as plain data, between the builder that makes it and the ONNX encoder that writes it.

export type DType = 'float32' | 'int32' | 'int64' | 'bool';

/** What flows along an edge: every dimension is known when the graph is built. */
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

/** ONNX tells integers, floats and strings apart, so attributes do too. */
export type Attribute =
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string };

/** One ONNX operator of the default domain; an empty input name is an optional input left out. */
export interface GraphNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** A whole graph: nodes in an order in which every value is made before it is used. */
export interface GraphData {
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly NamedTensor[];
  readonly outputs: readonly NamedTensor[];
  readonly constants: readonly Constant[];
}
