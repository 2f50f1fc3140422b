// A metered module computes what it did, counts its steps and its stack, and traps where none is left.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { metered, STACK_LEFT, STEPS_LEFT } from './metered.ts';

const section = (id: number, ...content: number[]): number[] => [id, content.length, ...content];
const [I32, FUNC, END] = [0x7f, 0x60, 0x0b];
const body = (...code: number[]): number[] => [code.length + 2, 0, ...code, END];
/** turn(n): n turns of a loop; deep(n): n calls inside each other; fill(n): n bytes. */
const MODULE = Uint8Array.from([
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...section(1, 1, FUNC, 1, I32, 0),
  ...section(3, 3, 0, 0, 0),
  ...section(5, 1, 0, 1),
  ...section(6, 1, I32, 0, 0x41, 0, END),
  ...section(7, 3, 4, ...Buffer.from('turn'), 0, 0, 4, ...Buffer.from('deep'), 0, 1, 4, ...Buffer.from('fill'), 0, 2),
  ...section(
    10,
    3,
    ...body(0x03, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, END),
    ...body(0x20, 0, 0x04, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x10, 1, END),
    ...body(0x41, 0, 0x41, 7, 0x20, 0, 0xfc, 11, 0),
  ),
]);

async function open(steps: number, stack: number) {
  const { instance } = await WebAssembly.instantiate(metered(MODULE));
  const exports = instance.exports as Record<'turn' | 'deep' | 'fill', (n: number) => void> &
    Record<string, WebAssembly.Global<'i32'>>;
  exports[STEPS_LEFT].value = steps;
  exports[STACK_LEFT].value = stack;
  return { ...exports, left: () => [exports[STEPS_LEFT].value, exports[STACK_LEFT].value] };
}

test('calls, turns of a loop and bytes that are filled are steps; a call gives its stack back', async () => {
  const { turn, deep, fill, left } = await open(1000, 1000);
  turn(5);
  assert.deepEqual(left(), [994, 1000]);
  deep(9);
  assert.deepEqual(left(), [984, 1000]);
  fill(640);
  assert.deepEqual(left(), [973, 1000]);
});

test('exactly as many as there are, and then no more', async () => {
  const { turn } = await open(6, 1000);
  turn(5);
  assert.throws(() => turn(1), WebAssembly.RuntimeError);
  for (const [call, n] of [
    ['turn', 1001],
    ['deep', 1001],
    ['fill', 65_536],
  ] as const) {
    const module = await open(1000, 1e6);
    assert.throws(() => module[call](n), WebAssembly.RuntimeError);
    assert.ok(module.left()[0] < 0, call);
  }
  const module = await open(1e6, 17 * 9);
  module.deep(9);
  assert.throws(() => module.deep(10), WebAssembly.RuntimeError);
  assert.ok(module.left()[1] < 0);
});

test('a module that it does not know, or that is cut off, is refused', () => {
  const vector = MODULE.with(MODULE.length - 4, 0xfd);
  assert.throws(() => metered(vector), /the opcode fd/);
  assert.throws(() => metered(MODULE.subarray(0, -1)), TypeError);
});
