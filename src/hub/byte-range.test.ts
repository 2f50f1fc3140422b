// Ranges as RFC 9110 has them: the examples of section 14.1.2 for 10,000 bytes, and what is not understood is no range.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasAlready, rangeOf } from './byte-range.ts';

const TAG = '"tag"';
const of = (range: string | undefined, if_range?: string, size_bytes = 10_000) =>
  rangeOf(size_bytes, TAG, range, if_range);
const part = (from: number, to: number) => ({ kind: 'part', from, to });
const whole = { kind: 'whole' };
const beyond = { kind: 'beyond' };

test('the ranges of section 14.1.2', () => {
  assert.deepEqual(of('bytes=0-499'), part(0, 500));
  assert.deepEqual(of('bytes=500-999'), part(500, 1000));
  assert.deepEqual(of('bytes=-500'), part(9500, 10_000));
  assert.deepEqual(of('bytes=9500-'), part(9500, 10_000));
  assert.deepEqual(of('bytes=0-0'), part(0, 1));
  assert.deepEqual(of('bytes=9999-20000'), part(9999, 10_000));
  assert.deepEqual(of('bytes=-20000'), part(0, 10_000));
});

test('after the end, and of nothing', () => {
  for (const range of ['bytes=10000-', 'bytes=10000-10001', 'bytes=-0']) assert.deepEqual(of(range), beyond, range);
  assert.deepEqual(of('bytes=0-', undefined, 0), beyond);
});

test('what is no range, several ranges and another version bring the whole', () => {
  for (const range of [undefined, '', 'bytes=', 'bytes=-', 'bytes=5-4', 'bytes=a-', 'lines=0-1', 'bytes=0-1,4-5']) {
    assert.deepEqual(of(range), whole, String(range));
  }
  assert.deepEqual(of('bytes=0-1', '"other"'), whole);
  assert.deepEqual(of('bytes=0-1', `W/${TAG}`), whole, 'a weak tag promises too little');
  assert.deepEqual(of('bytes=0-1', 'Sat, 28 Nov 2026 05:00:00 GMT'), whole);
  assert.deepEqual(of('bytes=0-1', TAG), part(0, 2));
});

test('a part lies in the whole and is never empty', () => {
  const digits = fc.oneof(fc.constant(''), fc.nat(300).map(String));
  fc.assert(
    fc.property(fc.nat(200), digits, digits, (size, first, last) => {
      const answer = of(`bytes=${first}-${last}`, undefined, size);
      if (answer.kind === 'part') assert.ok(0 <= answer.from && answer.from < answer.to && answer.to <= size);
    }),
  );
});

test('who has it already', () => {
  assert.ok(hasAlready(TAG, TAG));
  assert.ok(hasAlready(TAG, `"a", W/${TAG}`));
  assert.ok(hasAlready(TAG, '*'));
  assert.ok(!hasAlready(TAG, '"a"'));
  assert.ok(!hasAlready(TAG, undefined));
});
