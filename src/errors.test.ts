// A typed error: details that others read are demanded by the type, and are there where `is` says so.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError, isSystemError } from './errors.ts';

class TestError extends CodedError<'late' | 'lost', { readonly late: { readonly by_ms: number } }> {}

test('an error tells its code, its sentence and the details of this code', () => {
  const late: unknown = new TestError('late', 'expected it by noon, it came 3 ms later', { by_ms: 3 });
  assert.ok(late instanceof TestError && late instanceof CodedError && late.is('late'));
  assert.equal(late.details.by_ms + 1, 4);
  assert.deepEqual(
    [late.name, late.code, late.message],
    ['TestError', 'late', 'expected it by noon, it came 3 ms later'],
  );
  const lost = new TestError('lost', 'nothing came');
  assert.ok(!lost.is('late'));
  assert.deepEqual(lost.details, {});
  // @ts-expect-error: whoever raises this code must say how late
  new TestError('late', 'it came late');
  // @ts-expect-error: and in numbers
  new TestError('late', 'it came late', { by_ms: 'much' });
});

test('what the system refused is known by its call', () => {
  assert.ok(isSystemError(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', syscall: 'write' })));
  assert.ok(!isSystemError(new TestError('lost', 'nothing came')));
});
