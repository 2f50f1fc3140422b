// How far what crosses a boundary is from what another machine computed for it.
import { decodeFloats, isWhole, type Layout, scaleTable, unpackCodes } from './boundary.ts';

/**
 * Where a value lies between two codes, the smallest rounding decides which of them is sent, and with few bits that is a large step. So many
 * values may be off by one step, or share a scale that is: one in so many, and a few of any number.
 */
const ON_EDGE = { one_in: 1000, least: 4 } as const;
/** A step of one scale is not exactly that of the next. */
const STEP = 1.01;

/**
 * The norm of the difference over the norm of what was found, both as this layout's bytes; 0: the same, but for what rounding makes of values on
 * the edge between two codes. Throws ModelError `bad-activations` for bytes that are no values of this layout.
 */
export function boundaryDistance(layout: Layout, claimed: Uint8Array, found: Uint8Array): number {
  const [apart, size] = isWhole(layout) ? wholeApart(layout, claimed, found) : codedApart(layout, claimed, found);
  return apart === 0 ? 0 : Math.sqrt(apart / size);
}

type Squares = readonly [apart: number, size: number];

function wholeApart(layout: Layout, claimed: Uint8Array, found: Uint8Array): Squares {
  const [a, b] = [decodeFloats(layout, claimed), decodeFloats(layout, found)];
  let [apart, size] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    apart += (a[i] - b[i]) ** 2;
    size += b[i] ** 2;
  }
  return [apart, size];
}

function codedApart(layout: Layout, claimed: Uint8Array, found: Uint8Array): Squares {
  const [a, b] = [unpackCodes(layout, claimed), unpackCodes(layout, found)];
  const table = scaleTable();
  const middle = (2 ** layout.bits - 1) / 2;
  const group = layout.scale_rows * layout.columns;
  let [far, near, size, edges] = [0, 0, 0, 0];
  for (let g = 0; g < b.scales.length; g++) {
    const [scale_a, scale_b] = [table[a.scales[g]], table[b.scales[g]]];
    const step = (STEP * Math.max(scale_a, scale_b)) / middle;
    const isShared = Math.abs(a.scales[g] - b.scales[g]) === 1;
    let steps = 0;
    for (let i = g * group; i < (g + 1) * group; i++) {
      const [value_a, value_b] = [
        ((a.codes[i] - middle) / middle) * scale_a,
        ((b.codes[i] - middle) / middle) * scale_b,
      ];
      const apart = Math.abs(value_a - value_b);
      size += value_b ** 2;
      if (apart <= step) near += apart ** 2;
      else far += apart ** 2;
      if (apart > 0) steps++;
    }
    edges += isShared ? 1 : steps;
  }
  const allowed = Math.max(ON_EDGE.least, b.codes.length / ON_EDGE.one_in);
  return [edges <= allowed ? far : far + near, size];
}
