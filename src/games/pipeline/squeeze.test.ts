// Payloads come back from the arithmetic coder as they were, smaller where values are not all as frequent; other bytes are refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { packCodes } from '../../model/pipeline/boundary.ts';
import { noise } from '../../tensor/operator-case.ts';
import { encodeForward } from './messages.ts';
import { type PayloadForm, payloadForm, squeezed, unsqueezed } from './squeeze.ts';

const shape = { batch: 4, context: 32, vocab_size: 300 };
const rows = shape.batch * shape.context;
const kinds = ['activations', 'gradient'] as const;

/** A payload with values that lie as a normal distribution's do, wider in some columns than in others. */
function payloadOf({ layout, tokens_bytes }: PayloadForm, seed: number): Uint8Array {
  const { bits, columns, scale_rows } = layout;
  const most = 2 ** bits - 1;
  const draws = [1, 2, 3, 4].map((part) => noise(rows * columns, 10 * seed + part));
  const codes = Int32Array.from({ length: rows * columns }, (_, i) => {
    const wide = (1 + (i % columns)) / columns;
    const value = draws.reduce((sum, draw) => sum + draw[i], 0) / 4;
    return Math.round(((1 + wide * value) / 2) * most);
  });
  const scales = Int32Array.from(noise(rows / scale_rows, seed), (value) => 190 + Math.round(4 * value));
  const packed = packCodes(layout, { codes, scales });
  if (tokens_bytes === 0) return packed;
  const tokens = Int32Array.from(noise(rows, seed + 5), (value) => Math.round(150 + 149 * value ** 3));
  return encodeForward(shape, { tokens, targets: tokens }, packed);
}

test('payloads come back as they were, and smaller; others are refused', () => {
  const forms = fc.record({
    kind: fc.constantFrom(...kinds),
    bits: fc.integer({ min: 1, max: 8 }),
    columns: fc.integer({ min: 1, max: 20 }),
    scale_rows: fc.constantFrom(1, 2, 8),
  });
  const bad = { code: 'bad-activations' };
  fc.assert(
    fc.property(forms, fc.nat(1000), ({ kind, ...layout }, seed) => {
      const form = payloadForm(shape, kind, { rows, ...layout });
      const payload = payloadOf(form, seed);
      const sent = squeezed(form, payload);
      assert.deepEqual(unsqueezed(form, sent), payload);
      if (layout.bits >= 4 && layout.columns >= 4) assert.ok(sent.length < 0.95 * payload.length, `${sent.length}`);
      assert.throws(() => unsqueezed(form, new Uint8Array(1 << 20).fill(7)), bad);
      assert.throws(() => squeezed(form, payload.subarray(1)), bad);
    }),
    { numRuns: 40 },
  );
});

test('nothing at all, and whatever somebody makes up, is refused or read as the only payload that is sent so', () => {
  const form = payloadForm(shape, 'gradient', { rows, columns: 3, bits: 2, scale_rows: 1 });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (made_up) => {
      let payload: Uint8Array;
      try {
        payload = unsqueezed(form, made_up);
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'bad-activations');
        return;
      }
      assert.deepEqual(squeezed(form, payload), made_up);
    }),
  );
});

test('float32 goes as it is, and columns have models of their own on the way forward alone', () => {
  const whole = payloadForm(shape, 'gradient', { rows, columns: 3, bits: 32, scale_rows: 1 });
  const bytes = new Uint8Array(4 * 3 * rows);
  assert.equal(squeezed(whole, bytes), bytes);
  assert.equal(unsqueezed(whole, bytes), bytes);
  const layout = { rows, columns: 16, bits: 4, scale_rows: 1 };
  const [forward, back] = kinds.map((kind) => ({ ...payloadForm(shape, kind, layout), tokens_bytes: 0 }));
  const payload = payloadOf(forward, 3);
  assert.ok(squeezed(forward, payload).length < squeezed(back, payload).length);
});
