// The stake-weighted median: what validators who together hold enough stake say about somebody, so that a minority is clipped.
import { type Fixed, normalised, sum } from './fixed-point.ts';
import type { SparseMatrix } from './sparse-matrix.ts';

/**
 * Each column's consensus: the weighted median of its values over the rows with stake, whose stake is normalised again.
 * `kappa` is the share of the stake that must say at least so much. Rows with stake but without a cell say 0.
 */
export function consensusOf(weights: SparseMatrix, stake: readonly Fixed[], kappa: Fixed): Fixed[] {
  const voters = stake.flatMap((share, row) => (share > 0 ? [row] : []));
  const shares = normalised(voters.map((row) => stake[row]));
  const total = sum(shares);
  const { starts, rows, values } = columnsOf(weights, voters);
  const scores = new Float64Array(voters.length);
  return Array.from({ length: weights.size }, (_, column) => {
    const from = starts[column];
    const to = starts[column + 1];
    if (from === to) return 0;
    for (let k = from; k < to; k++) scores[rows[k]] = values[k];
    const median = weightedMedian(scores, shares, total - kappa, total);
    for (let k = from; k < to; k++) scores[rows[k]] = 0;
    return median;
  });
}

/**
 * The weighted median of `scores`, by quickselect. The pivot is the score in the middle of the present part's list, which keeps its
 * order as it is divided. Below the pivot if the stake below it, with what was found to be lower before, exceeds the
 * minority; above if the stake up to it does not; otherwise the pivot. Without scores: 0.
 */
export function weightedMedian(
  scores: ArrayLike<Fixed>,
  stake: readonly Fixed[],
  minority: Fixed,
  total: Fixed,
): Fixed {
  let part = Array.from(stake, (_, i) => i);
  let low = 0;
  let high = total;
  while (part.length > 0) {
    const pivot = scores[part[part.length >> 1]];
    const lower: number[] = [];
    const upper: number[] = [];
    let lower_stake = 0;
    let upper_stake = 0;
    for (const i of part) {
      if (scores[i] < pivot) {
        lower.push(i);
        lower_stake += stake[i];
      } else if (scores[i] > pivot) {
        upper.push(i);
        upper_stake += stake[i];
      }
    }
    if (minority < low + lower_stake && lower.length > 0) {
      part = lower;
      high = low + lower_stake;
    } else if (high - upper_stake <= minority && upper.length > 0) {
      part = upper;
      low = high - upper_stake;
    } else {
      return pivot;
    }
  }
  return 0;
}

/** The same cells column by column, with rows counted among the voters only. */
function columnsOf(matrix: SparseMatrix, voters: readonly number[]) {
  const starts = new Uint32Array(matrix.size + 1);
  const eachCell = (visit: (column: number, voter: number, value: Fixed) => void): void => {
    voters.forEach((row, voter) => {
      for (let k = matrix.starts[row]; k < matrix.starts[row + 1]; k++)
        visit(matrix.columns[k], voter, matrix.values[k]);
    });
  };
  eachCell((column) => {
    starts[column + 1]++;
  });
  for (let column = 0; column < matrix.size; column++) starts[column + 1] += starts[column];
  const rows = new Uint32Array(starts[matrix.size]);
  const values = new Float64Array(starts[matrix.size]);
  const next = starts.slice(0, -1);
  eachCell((column, voter, value) => {
    rows[next[column]] = voter;
    values[next[column]++] = value;
  });
  return { starts, rows, values };
}
