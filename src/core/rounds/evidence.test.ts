// Evidence is taken only where it says of which submission it is, and whose.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CORE_LIMITS } from '../limits.ts';
import { flawOfEvidence } from './evidence.ts';

const utf8 = new TextEncoder();
const flaw = (value: unknown) => flawOfEvidence(utf8.encode(JSON.stringify(value)), 's', 'v');

test('measurements of whatever kind are taken where submission and validator are right', () => {
  assert.equal(flaw({ submission: 's', validator: 'v' }), null);
  assert.equal(flaw({ submission: 's', validator: 'v', loss: 1.5, trace: [1, 2], nested: { any: 'thing' } }), null);
});

test('anything else is refused with what was expected', () => {
  for (const [value, words] of [
    [{ submission: 'other', validator: 'v' }, /expected that of s/],
    [{ submission: 's', validator: 'other' }, /expected that of v/],
    [{ submission: 's' }, /an object/],
    [[], /an object/],
    [null, /an object/],
    [{ submission: 's', validator: 'v', much: 'x'.repeat(CORE_LIMITS.evidence_bytes) }, /at most 262144 bytes/],
  ] as const) {
    assert.match(flaw(value) ?? '', words);
  }
  for (const bytes of [new Uint8Array(), Uint8Array.of(0xff, 0xfe), utf8.encode('{"submission":')]) {
    assert.match(flawOfEvidence(bytes, 's', 'v') ?? '', /expected JSON/);
  }
});
