// Tests of the rule for updates in place: what it must allow, and above all what it must not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { safeInPlace } from './in-place.ts';
import type { GraphData, GraphNode } from './ir.ts';

/** "next = Op a b" a line; all values are vectors of one element. */
function graphOf(lines: string, outputs: readonly string[]): GraphData {
  const tensor = (name: string) => ({ name, dtype: 'float32' as const, shape: [1] });
  const nodes: GraphNode[] = lines
    .trim()
    .split('\n')
    .map((line) => {
      const [output, , op, ...inputs] = line.trim().split(' ');
      return { op, inputs, outputs: [output], attributes: {} };
    });
  return { nodes, inputs: ['p', 'm', 'x'].map(tensor), outputs: outputs.map(tensor), constants: [] };
}

const STATES = [
  { name: 'p', next: 'p2' },
  { name: 'm', next: 'm2' },
];

function safe(lines: string, ...more: string[]): string[] {
  return [...safeInPlace(graphOf(lines, ['p2', 'm2', ...more]), STATES)].sort();
}

test('a step whose updates wait for everything that reads the old values', () => {
  const step = `
    y = MatMul x p
    norm = ReduceSum y
    g = Mul y norm
    m2 = Add m g
    p2 = Sub p m2`;
  assert.deepEqual(safe(step), ['m', 'p']);
});

test('an update that does not wait for another reader of the old value', () => {
  const step = `
    p2 = Sub p x
    m2 = Add m x
    old = ReduceSum p`;
  assert.deepEqual(safe(step, 'old'), ['m']);
});

test('a reader behind a view of the old value counts', () => {
  const step = `
    view = Reshape p x
    p2 = Sub view x
    late = ReduceSum view
    m2 = Add m late`;
  assert.deepEqual(safe(step), ['m']);
});

test('a view or the state itself that leaves the graph', () => {
  const step = `
    view = Identity p
    p2 = Sub view x
    m2 = Add m x`;
  assert.deepEqual(safe(step, 'view'), ['m']);
  assert.deepEqual(safe(step, 'm'), ['p']);
});

test('a maker that mixes elements must not read what it overwrites', () => {
  const step = `
    p2 = MatMul p x
    m2 = Softmax m`;
  assert.deepEqual(safe(step), []);
});

test('a product or a scatter that adds to the old value, but does not read it otherwise', () => {
  const adding = `
    p2 = Gemm x x p
    m2 = ScatterElements m x x`;
  assert.deepEqual(safe(adding), ['m', 'p']);
  const mixing = `
    view = Reshape p x
    p2 = Gemm view x p
    m2 = ScatterElements m x m`;
  assert.deepEqual(safe(mixing), []);
  const behindView = `
    view = Reshape p x
    p2 = MatMul view x
    m2 = Gemm x m`;
  assert.deepEqual(safe(behindView), []);
});

test('a frozen state and one without a maker are left alone', () => {
  const graph = graphOf('y = Mul p x', ['y']);
  assert.deepEqual(safeInPlace(graph, [{ name: 'p', next: null }]), new Set());
  assert.deepEqual(safeInPlace(graph, [{ name: 'p', next: 'ghost' }]), new Set());
});
