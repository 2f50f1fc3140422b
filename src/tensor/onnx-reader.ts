// Decodes what encodeOnnx writes, and nothing else: a graph from the network is checked before ONNX Runtime sees it.
import { TensorError } from './errors.ts';
import type { Attribute, Constant, DType, GraphData, GraphNode, NamedTensor } from './ir.ts';
import { elementCount, IR_VERSION, ONNX_ATTRIBUTE, ONNX_DTYPE, OPSET_VERSION } from './onnx.ts';
import { WIRE } from './protobuf.ts';

const MASK_64 = (1n << 64n) - 1n;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function refuse(what: string): never {
  throw new TensorError('bad-model', `ONNX bytes: ${what}`);
}

/** One field of a protobuf message: its number, and its value as an integer or as bytes (a float as its four bytes). */
interface Field {
  readonly number: number;
  readonly integer: number | null;
  readonly bytes: Uint8Array;
}

const NOTHING: Uint8Array = new Uint8Array(0);

/** The fields of one message, in the order of the bytes. */
function* fieldsOf(bytes: Uint8Array): Generator<Field> {
  let at = 0;
  function varint(): number {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (at >= bytes.length) refuse('a number is cut off');
      const byte = bytes[at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) {
        const signed = Number(BigInt.asIntN(64, value & MASK_64));
        if (value > MASK_64 || !Number.isSafeInteger(signed)) refuse(`the number ${value} is out of range`);
        return signed;
      }
    }
    return refuse('a number of more than 64 bits');
  }
  while (at < bytes.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    if (number < 1) refuse(`field number ${number}`);
    const wire = tag % 8;
    if (wire === WIRE.varint) yield { number, integer: varint(), bytes: NOTHING };
    else if (wire === WIRE.bytes || wire === WIRE.fixed32) {
      const length = wire === WIRE.fixed32 ? 4 : varint();
      if (length < 0 || length > bytes.length - at) {
        refuse(`a field of ${length} bytes where ${bytes.length - at} are left`);
      }
      yield { number, integer: null, bytes: bytes.subarray(at, at + length) };
      at += length;
    } else refuse(`wire type ${wire}`);
  }
}

function integerOf(field: Field): number {
  return field.integer ?? refuse(`field ${field.number} should be an integer`);
}

function textOf(field: Field): string {
  if (field.integer !== null) refuse(`field ${field.number} should be a text`);
  try {
    return utf8.decode(field.bytes);
  } catch {
    return refuse(`field ${field.number} is not UTF-8`);
  }
}

function dtypeOf(code: number): DType {
  const found = (Object.keys(ONNX_DTYPE) as DType[]).find((dtype) => ONNX_DTYPE[dtype] === code);
  return found ?? refuse(`data type ${code} is none of ${Object.keys(ONNX_DTYPE).join(', ')}`);
}

function dimensionOf(field: Field): number {
  const dimension = integerOf(field);
  return dimension >= 0 ? dimension : refuse(`dimension ${dimension}`);
}

function readConstant(bytes: Uint8Array): Constant {
  const shape: number[] = [];
  let dtype: DType | null = null;
  let name = '';
  let raw = NOTHING;
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) shape.push(dimensionOf(field));
    else if (field.number === 2) dtype = dtypeOf(integerOf(field));
    else if (field.number === 8) name = textOf(field);
    else if (field.number === 9) raw = field.bytes;
    else refuse(`constant "${name}" has field ${field.number}; its values must be in raw_data, never in another file`);
  }
  if (dtype === null) refuse(`constant "${name}" has no data type`);
  const width = { float32: 4, int32: 4, int64: 8, bool: 1 }[dtype];
  const count = elementCount(shape);
  if (raw.length !== count * width) {
    refuse(`constant "${name}" ${dtype} [${shape}] needs ${count * width} bytes, got ${raw.length}`);
  }
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  if (dtype === 'float32') {
    const data = Float32Array.from({ length: count }, (_, i) => view.getFloat32(i * 4, true));
    return { name, dtype, shape, data };
  }
  if (dtype === 'int32') {
    const data = Int32Array.from({ length: count }, (_, i) => view.getInt32(i * 4, true));
    return { name, dtype, shape, data };
  }
  const data = Array.from({ length: count }, (_, i) =>
    dtype === 'bool' ? raw[i] : Number(view.getBigInt64(i * 8, true)),
  );
  return { name, dtype, shape, data };
}

function readValue(bytes: Uint8Array): NamedTensor {
  let name = '';
  let dtype: DType | null = null;
  const shape: number[] = [];
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) name = textOf(field);
    else if (field.number === 2) {
      for (const type of fieldsOf(field.bytes)) {
        if (type.number !== 1) refuse(`"${name}" is no tensor`);
        for (const part of fieldsOf(type.bytes)) {
          if (part.number === 1) dtype = dtypeOf(integerOf(part));
          else if (part.number === 2) shape.push(...readShape(name, part.bytes));
          else refuse(`the type of "${name}" has field ${part.number}`);
        }
      }
    } else refuse(`value "${name}" has field ${field.number}`);
  }
  return { name, dtype: dtype ?? refuse(`"${name}" has no type`), shape };
}

function* readShape(name: string, bytes: Uint8Array): Generator<number> {
  for (const dimension of fieldsOf(bytes)) {
    if (dimension.number !== 1) refuse(`the shape of "${name}" has field ${dimension.number}`);
    const [size, ...more] = fieldsOf(dimension.bytes);
    if (size === undefined || size.number !== 1 || more.length > 0)
      refuse(`"${name}" has a dimension without a number`);
    yield dimensionOf(size);
  }
}

function readAttribute(bytes: Uint8Array): readonly [string, Attribute] {
  let name = '';
  let type = 0;
  const ints: number[] = [];
  let float = 0;
  let int = 0;
  let string = '';
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) name = textOf(field);
    else if (field.number === 2 && field.bytes.length === 4) {
      float = new DataView(field.bytes.buffer, field.bytes.byteOffset, 4).getFloat32(0, true);
    } else if (field.number === 3) int = integerOf(field);
    else if (field.number === 4) string = textOf(field);
    else if (field.number === 8) ints.push(integerOf(field));
    else if (field.number === 20) type = integerOf(field);
    else refuse(`attribute "${name}" has field ${field.number}; only float, int, string and ints are read`);
  }
  if (type === ONNX_ATTRIBUTE.float) return [name, { kind: 'float', value: float }];
  if (type === ONNX_ATTRIBUTE.int) return [name, { kind: 'int', value: int }];
  if (type === ONNX_ATTRIBUTE.string) return [name, { kind: 'string', value: string }];
  if (type === ONNX_ATTRIBUTE.ints) return [name, { kind: 'ints', value: ints }];
  return refuse(`attribute "${name}" has type ${type}`);
}

function readNode(bytes: Uint8Array): GraphNode {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes = new Map<string, Attribute>();
  let op = '';
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) inputs.push(textOf(field));
    else if (field.number === 2) outputs.push(textOf(field));
    else if (field.number === 4) op = textOf(field);
    else if (field.number === 5) {
      const [name, attribute] = readAttribute(field.bytes);
      if (attributes.has(name)) refuse(`${op} has the attribute "${name}" twice`);
      attributes.set(name, attribute);
    } else if (field.number !== 3) refuse(`node ${op} has field ${field.number}; only the default domain is read`);
  }
  if (op === '') refuse('a node without an operator');
  return { op, inputs, outputs, attributes: Object.fromEntries(attributes) };
}

function readGraph(bytes: Uint8Array): GraphData {
  const graph = {
    nodes: [] as GraphNode[],
    inputs: [] as NamedTensor[],
    outputs: [] as NamedTensor[],
    constants: [] as Constant[],
  };
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) graph.nodes.push(readNode(field.bytes));
    else if (field.number === 5) graph.constants.push(readConstant(field.bytes));
    else if (field.number === 11) graph.inputs.push(readValue(field.bytes));
    else if (field.number === 12) graph.outputs.push(readValue(field.bytes));
    else if (field.number !== 2) refuse(`the graph has field ${field.number}`);
  }
  return graph;
}

/**
 * Decodes a graph that encodeOnnx wrote: decodeOnnx(encodeOnnx(g)) equals g. Throws `bad-model` for everything that
 * encodeOnnx never writes, such as values in other files, operators of other domains, functions and subgraphs.
 */
export function decodeOnnx(bytes: Uint8Array): GraphData {
  let graph: GraphData | null = null;
  let irVersion = 0;
  let opset = '';
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) irVersion = integerOf(field);
    else if (field.number === 7 && graph === null) graph = readGraph(field.bytes);
    else if (field.number === 8) {
      for (const part of fieldsOf(field.bytes)) opset += part.number === 1 ? textOf(part) : ` ${integerOf(part)}`;
    } else if (field.number !== 2) refuse(`the model has field ${field.number}`);
  }
  if (irVersion !== IR_VERSION || opset !== ` ${OPSET_VERSION}`) {
    refuse(
      `expected IR version ${IR_VERSION} and operator set ${OPSET_VERSION}, got ${irVersion} and "${opset.trim()}"`,
    );
  }
  return graph ?? refuse('there is no graph');
}
