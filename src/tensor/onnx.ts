// Encodes a graph as ONNX, in protobuf's wire format: the part of onnx.proto3 that the portable graph needs (github.com/onnx/onnx, IR.md).
import { TensorError } from './errors.ts';
import type { Attribute, Constant, DType, GraphData, GraphNode, NamedTensor } from './ir.ts';

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

/** Protobuf wire types (protobuf.dev/programming-guides/encoding). */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

const TWO_64 = 1n << 64n;
const utf8 = new TextEncoder();

/**
 * A number as protobuf's base-128 varint: seven bits a byte, the lowest first. Negative numbers are written as 64-bit two's
 * complement (ten bytes), as int64 demands. Throws `bad-attribute` where the number is not a safe integer.
 */
export function encodeVarint(value: number): Uint8Array {
  if (!Number.isSafeInteger(value)) {
    throw new TensorError('bad-attribute', `varint: expected a safe integer, got ${value}`);
  }
  const bytes: number[] = [];
  if (value < 0) {
    let rest = TWO_64 + BigInt(value);
    for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
    bytes.push(Number(rest));
  } else {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
    bytes.push(rest);
  }
  return Uint8Array.from(bytes);
}

/** One protobuf message under construction: a list of byte pieces that are joined once at the end. */
class Message {
  readonly #pieces: Uint8Array[] = [];
  #length = 0;

  integer(field: number, value: number): this {
    return this.#tag(field, WIRE.varint).#push(encodeVarint(value));
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    return this.#tag(field, WIRE.fixed32).#push(bytes);
  }

  bytes(field: number, value: Uint8Array): this {
    return this.#tag(field, WIRE.bytes).#push(encodeVarint(value.length)).#push(value);
  }

  text(field: number, value: string): this {
    return this.bytes(field, utf8.encode(value));
  }

  /** A nested message; its pieces are taken over, so that a large constant is copied only once, at the very end. */
  message(field: number, value: Message): this {
    this.#tag(field, WIRE.bytes).#push(encodeVarint(value.#length));
    for (const piece of value.#pieces) this.#push(piece);
    return this;
  }

  finish(): Uint8Array {
    if (this.#length > LIMIT_MODEL_BYTES) {
      throw new TensorError(
        'too-large',
        `ONNX model: at most ${LIMIT_MODEL_BYTES} bytes, got ${this.#length}; pass weights as states`,
        { limit_bytes: LIMIT_MODEL_BYTES, size_bytes: this.#length },
      );
    }
    const whole = new Uint8Array(this.#length);
    let at = 0;
    for (const piece of this.#pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }

  #tag(field: number, wire: number): this {
    return this.#push(encodeVarint(field * 8 + wire));
  }

  #push(piece: Uint8Array): this {
    this.#pieces.push(piece);
    this.#length += piece.length;
    return this;
  }
}

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

function valueInfoProto(value: NamedTensor): Message {
  const shape = new Message();
  for (const dimension of value.shape) shape.message(1, new Message().integer(1, dimension)); // dim { dim_value }
  const tensor = new Message().integer(1, ONNX_DTYPE[value.dtype]).message(2, shape); // elem_type, shape
  return new Message().text(1, value.name).message(2, new Message().message(1, tensor)); // name, type { tensor_type }
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

function nodeProto(node: GraphNode, index: number): Message {
  const message = new Message();
  for (const input of node.inputs) message.text(1, input); // input
  for (const output of node.outputs) message.text(2, output); // output
  message.text(3, `${node.op}_${index}`).text(4, node.op); // name (profiles show it), op_type
  for (const [name, attribute] of Object.entries(node.attributes)) message.message(5, attributeProto(name, attribute));
  return message;
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
  for (const input of graph.inputs) body.message(11, valueInfoProto(input)); // input
  for (const output of graph.outputs) body.message(12, valueInfoProto(output)); // output
  const opset = new Message().text(1, '').integer(2, OPSET_VERSION); // domain, version
  return new Message()
    .integer(1, IR_VERSION) // ir_version
    .text(2, 'potluck') // producer_name
    .message(7, body) // graph
    .message(8, opset) // opset_import
    .finish();
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
