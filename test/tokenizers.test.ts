// That our ids are those of Hugging Face's tokenizers, where POTLUCK_PYTHON names a Python with it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareTokenizers } from './tokenizers.ts';

const python = process.env.POTLUCK_PYTHON;
const skip = python ? false : 'POTLUCK_PYTHON names no Python with tokenizers';

test('ids and texts agree with the Rust library on tokenizers of every kind', { skip }, () => {
  const { same, differences } = compareTokenizers(python!, 100, 'test');
  assert.deepEqual(differences, []);
  assert.ok(same > 800, `only ${same} texts were compared`);
});
