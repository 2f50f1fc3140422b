// ONNX files for other programs: free dimensions, operators of any domain, weights inside the file or in files beside it (onnx.proto3; docs/ExternalData.md).
import { TensorError } from './errors.ts';
import type { DType, GraphNode } from './ir.ts';
import { elementCount, modelProto, nodeProto, ONNX_DTYPE, OPSET_VERSION, valueInfoProto } from './onnx.ts';
import { Message } from './protobuf.ts';

/** The domain of ONNX Runtime's own operators, such as MatMulNBits. */
export const MICROSOFT = 'com.microsoft';

/** An operator of a file. */
export interface FileNode extends GraphNode {
  /** Where it is none of ONNX's own. */
  readonly domain?: typeof MICROSOFT;
}

/** An input or an output. A dimension with a name is free; all of one name agree. */
export interface FileValue {
  readonly name: string;
  readonly dtype: DType;
  readonly dimensions: readonly (number | string)[];
}

const TENSOR_TYPES = {
  float32: { code: ONNX_DTYPE.float32, width: 4 },
  int64: { code: ONNX_DTYPE.int64, width: 8 },
  uint8: { code: 2, width: 1 },
} as const;

/** A tensor that is stored in the file; `bytes` are its values, little-endian. */
export interface FileTensor {
  readonly name: string;
  readonly dtype: keyof typeof TENSOR_TYPES;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A whole model; its nodes are ordered so that every value is made before it is used. */
export interface OnnxModel {
  readonly nodes: readonly FileNode[];
  readonly inputs: readonly FileValue[];
  readonly outputs: readonly FileValue[];
  readonly tensors: readonly FileTensor[];
}

/** A file as pieces, in order. They may share memory with the tensors. */
export interface PiecedFile {
  readonly name: string;
  readonly pieces: readonly Uint8Array[];
}

/** Protobuf readers refuse messages of 2 GiB and more; a browser's buffer holds no more either. The rest is room for the graph itself. */
const LIMIT_FILE_BYTES = 2 ** 31 - 2 ** 24;
/** Smaller tensors, such as shapes and axes, stay in the model's file: readers need them before they open others. */
const LEAST_OUTSIDE_BYTES = 1024;
/** Files of data are mapped into memory by pages. */
const PAGE_BYTES = 4096;

/**
 * The files of a model: one named `name`, and where the weights do not fit into it, `name`_data, `name`_data_1, … beside it, as
 * transformers.js numbers them. A tensor is never divided. `limit_bytes` bounds the weights in each file.
 * Throws TensorError `bad-length` where a tensor's bytes do not fit its shape, `too-large` where one tensor exceeds the limit.
 */
export function encodeOnnxFiles(
  model: OnnxModel,
  name: string,
  limit_bytes: number = LIMIT_FILE_BYTES,
): readonly PiecedFile[] {
  const total_bytes = model.tensors.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const outside = total_bytes > limit_bytes ? placed(model.tensors, name, limit_bytes) : [];
  const places = new Map(outside.flatMap(({ name, held }) => held.map((place) => [place.tensor, { ...place, name }])));
  const { pieces } = encodeModel(model, places);
  return [{ name, pieces }, ...outside.map(({ name, held }) => ({ name, pieces: dataPieces(held) }))];
}

/**
 * A model whose larger tensors lie beside its bytes, each under its own name and in the memory of `model`: what a runtime here loads.
 * Throws TensorError `bad-length` where a tensor's bytes do not fit its shape.
 */
export function encodeOnnxBeside(model: OnnxModel): { onnx: Uint8Array; beside: ReadonlyMap<string, Uint8Array> } {
  const large = model.tensors.filter(({ bytes }) => bytes.length >= LEAST_OUTSIDE_BYTES);
  const places = new Map(large.map((tensor) => [tensor, { name: tensor.name, tensor, offset: 0 }]));
  const onnx = encodeModel(model, places).finish();
  return { onnx, beside: new Map(large.map(({ name, bytes }) => [name, bytes])) };
}

function encodeModel(model: OnnxModel, places: ReadonlyMap<FileTensor, Place & { readonly name: string }>): Message {
  const body = new Message();
  model.nodes.forEach((node, index) => {
    body.message(1, nodeProto(node, index, node.domain)); // node
  });
  body.text(2, 'potluck'); // name
  for (const tensor of model.tensors) body.message(5, tensorProto(tensor, places.get(tensor))); // initializer
  for (const { name, dtype, dimensions } of model.inputs) body.message(11, valueInfoProto(name, dtype, dimensions)); // input
  for (const { name, dtype, dimensions } of model.outputs) body.message(12, valueInfoProto(name, dtype, dimensions)); // output
  const usesMicrosoft = model.nodes.some(({ domain }) => domain === MICROSOFT);
  return modelProto(body, { '': OPSET_VERSION, ...(usesMicrosoft && { [MICROSOFT]: 1 }) });
}

/** Where a tensor lies in a file of data. */
interface Place {
  readonly tensor: FileTensor;
  readonly offset: number;
}

interface DataFile {
  readonly name: string;
  readonly held: Place[];
  length: number;
}

/** The larger tensors, each in the first file that is not full, in order. */
function placed(tensors: readonly FileTensor[], name: string, limit_bytes: number): DataFile[] {
  const files: DataFile[] = [];
  for (const tensor of tensors) {
    const { length } = tensor.bytes;
    if (length < LEAST_OUTSIDE_BYTES) continue;
    if (length > limit_bytes) {
      const fact = `${tensor.name} has ${length} bytes, a file of ONNX data at most ${limit_bytes}`;
      throw new TensorError('too-large', fact, { limit_bytes, size_bytes: length });
    }
    let file = files.at(-1);
    if (!file || file.length + length > limit_bytes) {
      file = { name: `${name}_data${files.length === 0 ? '' : `_${files.length}`}`, held: [], length: 0 };
      files.push(file);
    }
    file.held.push({ tensor, offset: file.length });
    file.length += Math.ceil(length / PAGE_BYTES) * PAGE_BYTES;
  }
  return files;
}

function dataPieces(held: readonly Place[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for (const { tensor, offset } of held) {
    if (offset > length) pieces.push(new Uint8Array(offset - length));
    pieces.push(tensor.bytes);
    length = offset + tensor.bytes.length;
  }
  return pieces;
}

// The numbers are the field numbers of onnx.proto3.

function tensorProto({ name, dtype, shape, bytes }: FileTensor, place?: Place & { readonly name: string }): Message {
  const { code, width } = TENSOR_TYPES[dtype];
  const expected = elementCount(shape) * width;
  if (bytes.length !== expected) {
    throw new TensorError('bad-length', `${name} ${dtype} [${shape}] takes ${expected} bytes, got ${bytes.length}`);
  }
  const message = new Message();
  for (const dimension of shape) message.integer(1, dimension); // dims
  message.integer(2, code).text(8, name); // data_type, name
  if (!place) return message.bytes(9, bytes); // raw_data
  const entries = { location: place.name, offset: String(place.offset), length: String(bytes.length) };
  for (const [key, value] of Object.entries(entries)) {
    message.message(13, new Message().text(1, key).text(2, value)); // external_data { key, value }
  }
  return message.integer(14, 1); // data_location: EXTERNAL
}
