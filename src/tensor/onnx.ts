// Encodes a graph as ONNX, in protobuf's wire format: the part of onnx.proto3 that the portable graph needs (github.com/onnx/onnx, IR.md).
import { TensorError } from './errors.ts';
import type { Attribute, Constant, DType, GraphData, GraphNode, NamedTensor } from './ir.ts';
import { Message } from './protobuf.ts';

/** ONNX 1.16's IR; every ONNX Runtime since 1.18 reads it. */
export const IR_VERSION = 10;
/** The operator set that the builder uses: reductions take their axes as an input, and ScatterElements supports `add`. */
export const OPSET_VERSION = 21;

/** TensorProto.DataType. */
export const ONNX_DTYPE: Readonly<Record<DType, number>> = { float32: 1, int32: 6, int64: 7, bool: 9 };

/** AttributeProto.AttributeType. */
export const ONNX_ATTRIBUTE: Readonly<Record<Attribute['kind'], number>> = { float: 1, int: 2, string: 3, ints: 7 };

/** Protobuf readers refuse messages of 2 GiB and more. */
const LIMIT_MODEL_BYTES = 2 ** 31 - 1;

/** The element count of a shape; a shape without dimensions is a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

/** A constant's values as raw_data: little-endian, int64 for int64, one byte for bool. */
function rawData(constant: Constant): Uint8Array {
  const { name, dtype, shape, data } = constant;
  if (data.length !== elementCount(shape)) {
    throw new TensorError(
      'bad-length',
      `constant ${name}: shape [${shape}] holds ${elementCount(shape)} values, got ${data.length}`,
    );
  }
  const width = { float32: 4, int32: 4, int64: 8, bool: 1 }[dtype];
  const raw = new Uint8Array(data.length * width);
  const view = new DataView(raw.buffer);
  for (let i = 0; i < data.length; i++) {
    const value = data[i];
    if (dtype === 'float32') view.setFloat32(i * 4, value, true);
    else {
      const whole = dtype === 'int32' ? value === (value | 0) : Number.isSafeInteger(value);
      if (!whole || (dtype === 'bool' && value !== 0 && value !== 1)) {
        throw new TensorError('bad-dtype', `constant ${name}: expected ${dtype} values, got ${value} at index ${i}`);
      }
      if (dtype === 'int32') view.setInt32(i * 4, value, true);
      else if (dtype === 'int64') view.setBigInt64(i * 8, BigInt(value), true);
      else raw[i] = value;
    }
  }
  return raw;
}

// The numbers are the field numbers of onnx.proto3.

function tensorProto(constant: Constant): Message {
  const message = new Message();
  for (const dimension of constant.shape) message.integer(1, dimension); // dims
  return message.integer(2, ONNX_DTYPE[constant.dtype]).text(8, constant.name).bytes(9, rawData(constant)); // data_type, name, raw_data
}

/** An input or output; a dimension with a name is free, and all dimensions of one name agree. */
export function valueInfoProto(name: string, dtype: DType, dimensions: readonly (number | string)[]): Message {
  const shape = new Message();
  for (const dimension of dimensions) {
    const dim = new Message();
    shape.message(1, typeof dimension === 'number' ? dim.integer(1, dimension) : dim.text(2, dimension)); // dim { dim_value or dim_param }
  }
  const tensor = new Message().integer(1, ONNX_DTYPE[dtype]).message(2, shape); // elem_type, shape
  return new Message().text(1, name).message(2, new Message().message(1, tensor)); // name, type { tensor_type }
}

function attributeProto(name: string, attribute: Attribute): Message {
  const message = new Message().text(1, name); // name
  if (attribute.kind === 'float')
    message.float(2, attribute.value); // f
  else if (attribute.kind === 'int')
    message.integer(3, attribute.value); // i
  else if (attribute.kind === 'string')
    message.text(4, attribute.value); // s
  else for (const value of attribute.value) message.integer(8, value); // ints
  return message.integer(20, ONNX_ATTRIBUTE[attribute.kind]); // type
}

/** An operator; `domain` where it is none of ONNX's own. */
export function nodeProto(node: GraphNode, index: number, domain = ''): Message {
  const message = new Message();
  for (const input of node.inputs) message.text(1, input); // input
  for (const output of node.outputs) message.text(2, output); // output
  message.text(3, `${node.op}_${index}`).text(4, node.op); // name (profiles show it), op_type
  for (const [name, attribute] of Object.entries(node.attributes)) message.message(5, attributeProto(name, attribute));
  return domain === '' ? message : message.text(7, domain); // domain
}

/** A model of the bytes of a graph: IR version, producer, the operator sets that it uses. */
export function modelProto(body: Message, opsets: Readonly<Record<string, number>>): Message {
  const model = new Message()
    .integer(1, IR_VERSION) // ir_version
    .text(2, 'potluck') // producer_name
    .message(7, body); // graph
  for (const [domain, version] of Object.entries(opsets)) {
    model.message(8, new Message().text(1, domain).integer(2, version)); // opset_import { domain, version }
  }
  return model;
}

/**
 * The graph as the bytes of an ONNX ModelProto (IR version 10, operator set 21 of the default domain).
 * Nodes, inputs, outputs and constants keep their order. Throws a TensorError where a constant's values do not fit its
 * type or shape, or where the bytes would pass protobuf's 2 GiB.
 */
export function encodeOnnx(graph: GraphData): Uint8Array {
  const body = new Message();
  graph.nodes.forEach((node, index) => {
    body.message(1, nodeProto(node, index)); // node
  });
  body.text(2, 'potluck'); // name
  for (const constant of graph.constants) body.message(5, tensorProto(constant)); // initializer
  const valueInfo = ({ name, dtype, shape }: NamedTensor): Message => valueInfoProto(name, dtype, shape);
  for (const input of graph.inputs) body.message(11, valueInfo(input)); // input
  for (const output of graph.outputs) body.message(12, valueInfo(output)); // output
  const model = modelProto(body, { '': OPSET_VERSION });
  if (model.length > LIMIT_MODEL_BYTES) {
    throw new TensorError(
      'too-large',
      `ONNX model: at most ${LIMIT_MODEL_BYTES} bytes, got ${model.length}; pass weights as states`,
      { limit_bytes: LIMIT_MODEL_BYTES, size_bytes: model.length },
    );
  }
  return model.finish();
}

/**
 * The same model with one more output before all others: an empty sequence. Protobuf merges the repeated fields of
 * consecutive messages, so a few bytes in front of the model suffice, and the model need not be encoded again.
 */
export function withEmptySequenceFirst(onnx: Uint8Array, name: string): Uint8Array {
  const node = new Message().text(2, name).text(4, 'SequenceEmpty'); // output, op_type
  const element = new Message().message(1, new Message().integer(1, ONNX_DTYPE.float32)); // tensor_type { elem_type }
  const type = new Message().message(4, new Message().message(1, element)); // sequence_type { elem_type }
  const output = new Message().text(1, name).message(2, type); // name, type
  const before = new Message().message(7, new Message().message(1, node).message(12, output)).finish(); // graph { node, output }
  const whole = new Uint8Array(before.length + onnx.length);
  whole.set(before);
  whole.set(onnx, before.length);
  return whole;
}
