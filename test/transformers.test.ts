// That transformers computes the same logits and token ids from our folders, and we from its, where POTLUCK_PYTHON names a Python with it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareAll, LARGEST_DIFFERENCE } from './transformers.ts';

const python = process.env.POTLUCK_PYTHON;
const skip = python ? false : 'POTLUCK_PYTHON names no Python with torch and transformers';

test('logits and token ids agree with transformers in both directions', { skip }, async () => {
  const comparisons = await compareAll(python!);
  assert.ok(comparisons.length >= 8);
  for (const { name, max_difference, max_logit, same_ids } of comparisons) {
    assert.ok(max_difference <= LARGEST_DIFFERENCE, `${name}: logits differ by ${max_difference}`);
    assert.ok(max_logit > 1, `${name}: logits of ${max_logit} show nothing`);
    assert.ok(same_ids, `${name}: other token ids`);
  }
});
