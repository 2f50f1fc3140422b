// The distance between payloads of a boundary: rounding on the edge of two codes is none, every lie is one.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Codes, encodeFloats, type Layout, packCodes, SCALE_OF_ONE } from './boundary.ts';
import { boundaryDistance } from './boundary-distance.ts';

const layout = (bits: number, scale_rows = 1): Layout => ({ rows: 64, columns: 16, bits, scale_rows });
const coded = ({ bits, rows, columns, scale_rows }: Layout): Codes => ({
  codes: Int32Array.from({ length: rows * columns }, (_, i) => (i * 7919) % 2 ** bits),
  scales: new Int32Array(rows / scale_rows).fill(SCALE_OF_ONE),
});
/** The distance from honest bytes of those that `edit` has changed. */
function apart(of: Layout, edit: (codes: Codes) => void): number {
  const changed = coded(of);
  edit(changed);
  return boundaryDistance(of, packCodes(of, changed), packCodes(of, coded(of)));
}

describe('the distance of whole values', () => {
  const whole = layout(32);
  const values = Float32Array.from({ length: 1024 }, (_, i) => Math.sin(i));
  const to = (edit: (value: number) => number) =>
    boundaryDistance(whole, encodeFloats(values.map(edit)), encodeFloats(values));

  test('is relative', () => {
    assert.equal(
      to((value) => value),
      0,
    );
    assert.ok(Math.abs(to((value) => value * 1.25) - 0.25) < 1e-6);
    assert.ok(Math.abs(to((value) => -value) - 2) < 1e-6);
    assert.equal(
      to(() => 0),
      1,
    );
  });

  test('is endless from nothing', () => {
    const nothing = encodeFloats(new Float32Array(1024));
    assert.equal(boundaryDistance(whole, nothing, nothing), 0);
    assert.equal(boundaryDistance(whole, encodeFloats(values), nothing), Number.POSITIVE_INFINITY);
  });
});

describe('the distance of codes', () => {
  for (const bits of [1, 2, 8]) {
    const few = (count: number) => (all: Codes) => {
      for (let i = 0; i < count; i++) all.codes[i] += all.codes[i] > 0 ? -1 : 1;
    };
    test(`of ${bits} bits forgives a few values on the edge, and no more`, () => {
      assert.equal(apart(layout(bits), few(0)), 0);
      assert.equal(apart(layout(bits), few(4)), 0);
      assert.ok(apart(layout(bits), few(5)) > 0);
    });

    test(`of ${bits} bits sees what is scaled, turned round or made up`, () => {
      const of = layout(bits, 64);
      const most = 2 ** bits - 1;
      assert.ok(apart(of, ({ codes }) => codes.set(codes.map((code) => most - code))) > 0.5);
      assert.ok(apart(of, ({ scales }) => scales.fill(SCALE_OF_ONE + 5)) > 0.5);
      assert.ok(apart(of, ({ scales }) => scales.fill(SCALE_OF_ONE - 2)) > 0.1 || bits === 1);
    });
  }

  test('of more bits forgives a scale on the edge where its values are those that it stands for', () => {
    const of = layout(8);
    const wider = 2 ** (1 / 5);
    const recoded = (all: Codes) => {
      all.scales[3]++;
      for (let i = 48; i < 64; i++) all.codes[i] = Math.round((all.codes[i] - 127.5) / wider + 127.5);
    };
    assert.equal(apart(of, recoded), 0);
    assert.ok(apart(of, ({ scales }) => void scales[3]++) > 0.01);
  });

  test('of bytes that are none of the layout is an error', () => {
    assert.throws(() => boundaryDistance(layout(8), new Uint8Array(3), packCodes(layout(8), coded(layout(8)))), {
      code: 'bad-activations',
    });
  });
});
