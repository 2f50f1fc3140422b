// A WebAssembly module that counts its own steps and stops when none is left (WebAssembly Core Specification 2.0, chapter 5: Binary Format).
import { concatBytes } from '@noble/hashes/utils.js';

/** Exported globals (i32): how many steps and words of stack are left. Once one is below zero the module has trapped, and is not to be called again. */
export const STEPS_LEFT = 'steps_left';
export const STACK_LEFT = 'stack_left';

/** Copying or filling so many bytes at once is a step: about as long as a turn of the interpreter's loop. */
const BYTES_A_STEP_LOG2 = 6;

const SECTION = { type: 1, import: 2, function: 3, global: 6, export: 7, code: 10 } as const;
/** What a call takes of the stack beside its caller's variables, in words: a return address, saved registers, values in between. */
const FRAME_WORDS = 16;

const I32 = 0x7f;
const GLOBAL_KIND = 3;

/** Reads a module's bytes. */
class Reader {
  readonly bytes: Uint8Array;
  at = 0;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
  byte(): number {
    if (this.at >= this.bytes.length) throw new TypeError('a WebAssembly module ends in the middle');
    return this.bytes[this.at++];
  }
  /** LEB128, unsigned; a signed one can be skipped with it. */
  number(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }
  take(length: number): Uint8Array {
    this.at += length;
    if (this.at > this.bytes.length) throw new TypeError('a WebAssembly module ends in the middle');
    return this.bytes.subarray(this.at - length, this.at);
  }
  /** A vector of things of which only the length is known by reading them. */
  each(read: (i: number) => void): number {
    const count = this.number();
    for (let i = 0; i < count; i++) read(i);
    return count;
  }
}

const leb = (value: number): number[] => {
  const low = value % 0x80;
  return value < 0x80 ? [value] : [low | 0x80, ...leb((value - low) / 0x80)];
};

/** Skips what follows an opcode. Throws TypeError for opcodes that compilers of C without vectors and exceptions do not emit. */
function skipImmediates(code: Reader, op: number): void {
  const numbers = (count: number): void => {
    for (let i = 0; i < count; i++) code.number();
  };
  if (op === 0x0e)
    numbers(code.number() + 1); // br_table
  else if (op === 0x1c)
    numbers(code.number()); // select with types
  else if (op === 0x43)
    code.take(4); // f32.const
  else if (op === 0x44)
    code.take(8); // f64.const
  else if (op >= 0x28 && op <= 0x3e)
    numbers(2); // loads and stores
  else if (op === 0x11 || op === 0x13)
    numbers(2); // call_indirect
  else if ((op >= 0x02 && op <= 0x04) || op === 0x0c || op === 0x0d || op === 0x10 || op === 0x12) numbers(1);
  else if ((op >= 0x20 && op <= 0x26) || op === 0x3f || op === 0x40 || op === 0x41 || op === 0x42) numbers(1);
  else if (op === 0xd0 || op === 0xd2) numbers(1);
  else if (op > 0xc4 && op !== 0xd1)
    throw new TypeError(`the opcode ${op.toString(16)} is not one that can be metered`);
}

/** The number of immediates after 0xfc and the number that follows it. */
const BULK_IMMEDIATES = [0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 1, 2, 1, 2, 1, 1, 1] as const;
const MEMORY_COPY = 10;
const MEMORY_FILL = 11;

/**
 * The same module, in which each call of a function and each turn of a loop takes a step, as do 64 bytes that are copied or filled at once, and
 * each call holds a part of the stack while it lasts; where none of either is left it traps. Both follow from what is computed alone and are the same
 * on every machine, unlike an engine's time and its own stack. The module must have globals and exports of its own, as those of C have.
 */
export function metered(module: Uint8Array): Uint8Array<ArrayBuffer> {
  const reader = new Reader(module);
  const parts: Uint8Array[] = [reader.take(8)];
  const paramsOf: number[] = []; // by type
  const typeOf: number[] = []; // by function of its own
  let globals = 0;
  while (reader.at < module.length) {
    const id = reader.byte();
    const section = new Reader(reader.take(reader.number()));
    let bytes: Uint8Array = section.bytes;
    if (id === SECTION.type) readTypes(section, paramsOf);
    if (id === SECTION.import) globals += importedGlobals(section);
    if (id === SECTION.function) section.each(() => typeOf.push(section.number()));
    if (id === SECTION.global) {
      const count = section.number();
      const most = [I32, 1, 0x41, 0xff, 0xff, 0xff, 0xff, 0x07, 0x0b]; // mutable; what the module does at its start is not limited
      bytes = Uint8Array.from([...leb(count + 2), ...section.bytes.subarray(section.at), ...most, ...most]);
      globals += count;
    }
    if (id === SECTION.export) {
      const more = [STEPS_LEFT, STACK_LEFT].flatMap((name, i) => {
        return [name.length, ...new TextEncoder().encode(name), GLOBAL_KIND, ...leb(globals + i)];
      });
      bytes = Uint8Array.from([...leb(section.number() + 2), ...section.bytes.subarray(section.at), ...more]);
    }
    if (id === SECTION.code) bytes = meteredCode(section, globals, (i) => paramsOf[typeOf[i]]);
    parts.push(Uint8Array.from([id, ...leb(bytes.length)]), bytes);
  }
  return concatBytes(...parts);
}

function readTypes(section: Reader, paramsOf: number[]): void {
  section.each(() => {
    section.byte(); // 0x60
    paramsOf.push(section.each(() => section.byte()));
    section.each(() => section.byte());
  });
}

function importedGlobals(section: Reader): number {
  let globals = 0;
  const limits = (): void => {
    const flags = section.byte();
    section.number();
    if (flags & 1) section.number();
  };
  section.each(() => {
    section.take(section.number());
    section.take(section.number());
    const kind = section.byte();
    if (kind === 0) section.number();
    if (kind === 1) section.byte();
    if (kind === 1 || kind === 2) limits();
    if (kind === GLOBAL_KIND) {
      section.take(2);
      globals++;
    }
  });
  return globals;
}

const ADD = 0x6a;
const SUBTRACT = 0x6b;
/** Changes the global of a meter by what the instructions in between push. */
const change = (global: number, amount: readonly number[], how: number): number[] => {
  return [0x23, ...leb(global), ...amount, how, 0x24, ...leb(global)];
};
/** Traps where the meter is below zero. */
const check = (global: number): number[] => [0x23, ...leb(global), 0x41, 0, 0x48, 0x04, 0x40, 0x00, 0x0b];
/** Pushes a constant, as a signed LEB128. */
const push = (value: number): number[] => [
  0x41,
  ...(value < 0x40 ? [value] : [(value & 0x7f) | 0x80, ...leb(value >> 7)]),
];

function meteredCode(section: Reader, steps: number, paramsOf: (i: number) => number): Uint8Array {
  const stack = steps + 1;
  const step = Uint8Array.from([...change(steps, push(1), SUBTRACT), ...check(steps)]);
  const parts: Uint8Array[] = [];
  const count = section.each((i) => {
    const body = new Reader(section.take(section.number()));
    const groups: number[] = [];
    let locals = paramsOf(i);
    const group_count = body.each(() => {
      const begin = body.at;
      locals += body.number();
      body.byte();
      groups.push(...body.bytes.subarray(begin, body.at));
    });
    const own: Uint8Array[] = [Uint8Array.from([...leb(group_count + 1), ...groups, 1, I32]), step];
    /** The length of what is copied or filled lies on the stack: it is kept in the new local meanwhile. */
    const length = leb(locals);
    const taken = [0x20, ...length, ...push(BYTES_A_STEP_LOG2), 0x76];
    const bulk = Uint8Array.from([
      0x21,
      ...length,
      ...change(steps, taken, SUBTRACT),
      ...check(steps),
      0x20,
      ...length,
    ]);
    const words = push(locals + FRAME_WORDS);
    const enter = Uint8Array.from([...change(stack, words, SUBTRACT), ...check(stack)]);
    const leave = Uint8Array.from(change(stack, words, ADD));
    let kept = body.at;
    const insert = (at: number, bytes: Uint8Array): void => {
      own.push(body.bytes.subarray(kept, at), bytes);
      kept = at;
    };
    while (body.at < body.bytes.length) {
      const begin = body.at;
      const op = body.byte();
      const calls = op === 0x10 || op === 0x11;
      if (calls) insert(begin, enter);
      if (op === 0xfc) {
        const which = body.number();
        for (let n = BULK_IMMEDIATES[which]; n > 0; n--) body.number();
        if (which === MEMORY_COPY || which === MEMORY_FILL) insert(begin, bulk);
      } else skipImmediates(body, op);
      if (op === 0x03) insert(body.at, step);
      if (calls) insert(body.at, leave);
    }
    own.push(body.bytes.subarray(kept));
    const bytes = concatBytes(...own);
    parts.push(Uint8Array.from(leb(bytes.length)), bytes);
  });
  return concatBytes(Uint8Array.from(leb(count)), ...parts);
}
