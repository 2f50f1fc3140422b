// Tests of the operator table: it knows a wrong result, reads ONNX Runtime's placements, and the document has every operator.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { OPERATOR_CASES } from '../tensor/operator-cases.ts';
import { largestDifference, probeOf, runProbe } from '../tensor/operator-probe.ts';
import { createWasmRuntime } from '../tensor/wasm-runtime.ts';
import { placedOnCpu } from './operators.ts';

const said = (text: string) =>
  `2026-01-01 00:00:00.0 [V:onnxruntime:, session_state.cc:1380 VerifyEachNodeIsAssignedToAnEp] ${text}`;

test('nodes on the CPU are found in the log, and no others', () => {
  const log = [
    said('Node placements'),
    said(' Node(s) placed on [CPUExecutionProvider]. Number of nodes: 2'),
    said('  Gather (node_3)'),
    said('  OneHot ()'),
    said(' Node(s) placed on [WebGpuExecutionProvider]. Number of nodes: 1'),
    said('  MatMul (node_1)'),
    '  Reshape (not a placement)',
  ];
  assert.deepEqual(placedOnCpu(log), ['Gather', 'OneHot']);
  assert.deepEqual(placedOnCpu([said(' All nodes placed on [WebGpuExecutionProvider]. Number of nodes: 1')]), []);
  assert.equal(placedOnCpu(['nothing about placements']), null);
  assert.deepEqual(placedOnCpu([said(' All nodes placed on [CPUExecutionProvider]. Number of nodes: 1')]), [
    'every node',
  ]);
});

test('a wrong value, a missing one and one that is no number are differences', async () => {
  const runtime = await createWasmRuntime({ threads: 1 });
  const outputs = await runProbe(runtime, probeOf(OPERATOR_CASES.gatherRows[0]));
  await runtime.close();
  assert.equal(largestDifference(outputs, outputs), 0);
  assert.deepEqual(Object.keys(outputs).sort(), ['d0', 'y']);
  const [first, ...rest] = outputs.d0;
  assert.ok(largestDifference({ ...outputs, d0: [first + 1, ...rest] }, outputs) > 0.1);
  for (const wrong of [[Number.NaN, ...rest], []]) {
    assert.equal(largestDifference({ ...outputs, d0: wrong }, outputs), Number.POSITIVE_INFINITY);
  }
});

test('docs/operators.md has every operator, and calls none wrong', () => {
  const document = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'operators.md'), 'utf8');
  for (const operator of Object.keys(OPERATOR_CASES)) assert.ok(document.includes(`\n| ${operator} |`), operator);
  assert.doesNotMatch(document, /WRONG by|fails:|not told/);
});
