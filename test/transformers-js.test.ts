// That transformers.js writes the same greedy text as Potluck, where POTLUCK_TRANSFORMERS_JS names a folder in which it is installed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareTransformersJs } from './transformers-js.ts';

const at = process.env.POTLUCK_TRANSFORMERS_JS;
const skip = at ? false : 'POTLUCK_TRANSFORMERS_JS names no folder with @huggingface/transformers';

test('every greedy text of transformers.js is ours, alone and in padded batches; its 8 bits load and write', {
  skip,
}, async () => {
  const [fp32, q8] = await compareTransformersJs(at!);
  assert.deepEqual([fp32.dtype, fp32.same_texts, fp32.same_batched], ['fp32', fp32.prompts, fp32.prompts]);
  assert.equal(q8.dtype, 'q8');
  assert.ok(q8.same_texts >= q8.prompts / 2, `${q8.same_texts} of ${q8.prompts}`);
});
