// Yuma consensus as Bittensor's subtensor computes it (June 2026), followed closely: dense, BigInt, slow. Tests compare the code that pays with it.

/** The rules of an epoch. u16 values are shares of 65535. */
export interface YumaParameters {
  /** u16. The share of the active stake that must support a weight: 32767 is half. */
  readonly kappa: number;
  /** Millionths of the old bonds that stay in an epoch; 1 minus it is α. */
  readonly bonds_moving_average: number;
  /** u16. How much of the weight above the consensus buys no bonds: with 65535, none of it does. */
  readonly bonds_penalty: number;
  /** "Yuma 3" only: an α between lo and hi (u16) for every bond; steepness in hundredths. */
  readonly liquid_alpha: {
    readonly enabled: boolean;
    readonly lo: number;
    readonly hi: number;
    readonly steepness: number;
  };
  /** Bonds by "Yuma 3" instead of "Yuma 2". */
  readonly yuma3: boolean;
  /** This many neurons with the largest stakes may judge in the next epoch. */
  readonly max_validators: number;
  /** Stake below this counts as zero, except the owner's. */
  readonly min_stake: bigint | number;
  /** Always has a permit and may weigh itself; null for nobody. */
  readonly owner_uid: number | null;
  /** After so many thousandths of a tempo of blocks without weights a validator is inactive. */
  readonly activity_cutoff_factor: number;
}

/** Bittensor's defaults, for neurons without an owner. */
export const DEFAULT_YUMA_PARAMETERS: YumaParameters = {
  kappa: 32_767,
  bonds_moving_average: 900_000,
  bonds_penalty: 65_535,
  liquid_alpha: { enabled: false, lo: 45_875, hi: 58_982, steepness: 1000 },
  yuma3: false,
  max_validators: 64,
  min_stake: 0,
  owner_uid: null,
  activity_cutoff_factor: 13_889,
};

/** The input of an epoch. Every list has one entry per neuron, whose index is its uid. Pairs are of uid and u16. */
export interface YumaInput {
  readonly stake: readonly (bigint | number)[];
  readonly weights: readonly (readonly (readonly [uid: number, weight: number])[])[];
  /** The block in which each neuron last set weights, and in which it was registered. */
  readonly last_update: readonly number[];
  readonly registered: readonly number[];
  /** Who may judge in this epoch, and the last epoch's bonds. */
  readonly validator_permits: readonly boolean[];
  readonly bonds: YumaInput['weights'];
  readonly emission: bigint | number;
  readonly block: number;
  readonly tempo: number;
  readonly parameters: YumaParameters;
}

const W = 1n << 32n;
const U16 = 65_535n;
type Vector = bigint[];
type Matrix = bigint[][];

const mul = (a: bigint, b: bigint): bigint => (a * b) >> 32n;
const div = (a: bigint, b: bigint): bigint => (b === 0n ? 0n : (a * W) / b);
const total = (v: Vector): bigint => v.reduce((a, b) => a + b, 0n);
const normalise = (v: Vector): Vector => v.map((x) => div(x, total(v)));
const transpose = (m: Matrix): Matrix => m.map((_, j) => m.map((row) => row[j]));
const normaliseColumns = (m: Matrix): Matrix => transpose(transpose(m).map(normalise));
const each = (m: Matrix, f: (x: bigint, i: number, j: number) => bigint): Matrix =>
  m.map((row, i) => row.map((x, j) => f(x, i, j)));
const u16 = (x: bigint): number => Number((x * U16) / W);
const clamp = (x: bigint, low: bigint, high: bigint): bigint => (x < low ? low : x > high ? high : x);

function dense(rows: YumaInput['weights']): Matrix {
  return rows.map((row) => rows.map((_, j) => BigInt(row.find(([uid]) => uid === j)?.[1] ?? 0) * W));
}

function median(idx: number[], score: Vector, stake: Vector, minority: bigint, lo: bigint, hi: bigint): bigint {
  if (idx.length === 0) return 0n;
  const pivot = score[idx[Math.floor(idx.length / 2)]];
  const lower = idx.filter((i) => score[i] < pivot);
  const upper = idx.filter((i) => score[i] > pivot);
  const lo_stake = total(lower.map((i) => stake[i]));
  const hi_stake = total(upper.map((i) => stake[i]));
  if (minority < lo + lo_stake && lower.length > 0) return median(lower, score, stake, minority, lo, lo + lo_stake);
  if (hi - hi_stake <= minority && upper.length > 0) return median(upper, score, stake, minority, hi - hi_stake, hi);
  return pivot;
}

/** One epoch of a well-formed input: u16 shares, bonds, emission, and the shares before they are truncated to u16. */
export function yumaEpoch(input: YumaInput) {
  const { last_update, registered, parameters: p } = input;
  const permits = input.validator_permits.map((permit, i) => permit || i === p.owner_uid);
  const [block, tempo] = [BigInt(input.block), BigInt(input.tempo)];
  const factor = (BigInt(p.activity_cutoff_factor) * tempo) / 1000n;
  const cutoff = factor > 1n ? factor : 1n;
  const inactive = last_update.map((u) => BigInt(u) + cutoff < block);

  const filtered = input.stake.map((s, i) => (BigInt(s) < BigInt(p.min_stake) && i !== p.owner_uid ? 0n : BigInt(s)));
  const S = filtered.map((s) =>
    total(filtered) === 0n ? 0n : (((s << 64n) << 64n) / (total(filtered) << 64n)) >> 32n,
  );
  const new_permits = S.map((s) => s !== 0n);
  const sorted = S.map((_, i) => i).sort((a, b) => (S[a] < S[b] ? -1 : S[a] > S[b] ? 1 : 0));
  if (S.length >= p.max_validators)
    for (const i of sorted.slice(0, S.length - p.max_validators)) new_permits[i] = false;
  if (p.owner_uid !== null) new_permits[p.owner_uid] = true;

  const A = normalise(S.map((s, i) => (inactive[i] || !permits[i] ? 0n : s)));
  const valid = (i: number, j: number): boolean =>
    permits[i] && (i !== j || i === p.owner_uid) && last_update[i] > registered[j];
  const masked = each(dense(input.weights), (w, i, j) => (valid(i, j) ? w : 0n));
  const weights = masked.map(normalise);

  const voters = A.flatMap((a, i) => (a > 0n ? [i] : []));
  const stake = normalise(voters.map((i) => A[i]));
  const minority = total(stake) - div(BigInt(p.kappa) * W, U16 * W);
  const C = S.map((_, j) => {
    const score = voters.map((i) => weights[i][j]);
    return median(
      score.map((_, i) => i),
      score,
      stake,
      minority,
      0n,
      total(stake),
    );
  });
  const clipped = each(weights, (w, _, j) => (w < C[j] ? w : C[j]));
  const rank = (m: Matrix): Vector => transpose(m).map((column) => total(column.map((w, i) => mul(A[i], w))));
  const R = rank(clipped);
  const I = normalise(R);
  const trust = R.map((r, j) => div(r, rank(weights)[j]));

  const penalty = div(BigInt(p.bonds_penalty) * W, U16 * W);
  const Wb = each(weights, (w, i, j) => w + mul(penalty, clipped[i][j] - w));
  const last_tempo = block > tempo ? block - tempo : 0n;
  const stored = each(dense(input.bonds), (b, _, j) => (last_tempo <= BigInt(registered[j]) ? 0n : b));
  const alpha = W - (((BigInt(p.bonds_moving_average) << 64n) / 1_000_000n) >> 32n);
  const ema = (fresh: Matrix, old: Matrix): Matrix =>
    each(fresh, (x, i, j) => mul(alpha, x) + mul(W - alpha, old[i][j]));
  // Production keeps rows as lists. With liquid alpha an old bond fades where its weight has an entry, even a 0, and is gone at once where
  // it has none. A penalty of all or nothing copies entries; a partial one keeps those above 0.
  const cells = Wb.map((row, i) =>
    row.map((weight, j) => {
      const copied = penalty === 0n || (penalty === W && (C[j] > 0n || weights[i][j] === 0n));
      return weight > 0n || (copied && valid(i, j) && input.weights[i].some(([uid]) => uid === j));
    }),
  );
  const E = p.yuma3
    ? yuma3Bonds(
        Wb,
        cells,
        each(stored, (b) => div(b, U16 * W)),
        C,
        p,
        ema,
      )
    : normaliseColumns(ema(normaliseColumns(each(Wb, (w, i) => mul(w, A[i]))), normaliseColumns(stored)));
  const shares = p.yuma3 ? normaliseColumns(E) : E;
  const D = normalise(
    shares.map((row, i) => {
      const earned = total(row.map((e, j) => mul(e, I[j])));
      return p.yuma3 ? mul(A[i], earned) : earned;
    }),
  );
  const largest = transpose(E).map((column) => column.reduce((a, b) => (a > b ? a : b), 0n));
  const kept = p.yuma3 ? E : each(E, (e, _, j) => div(e, largest[j]));
  const bonds = kept.map((row, i) => {
    if (!new_permits[i]) return permits[i] ? [] : input.bonds[i];
    return row.map((e, j): [number, number] => [j, u16(e)]).filter(([, value]) => value > 0);
  });

  const sum = total(I) + total(D);
  const fallback = total(A) === 0n ? S : A;
  const pay = (v: Vector): bigint[] => v.map((x) => (x * BigInt(input.emission)) / W);
  return {
    exact: { consensus: C, dividends: D },
    active: inactive.map((value) => !value),
    validator_permits: new_permits,
    consensus: C.map(u16),
    incentives: I.map(u16),
    ranks: I.map(u16),
    trust: trust.map(u16),
    validator_trust: clipped.map((row) => u16(total(row))),
    dividends: D.map(u16),
    bonds,
    server_emission: pay(I.map((x) => div(x, sum))),
    validator_emission: pay(sum === 0n ? fallback : D.map((x) => div(x, sum))),
    emission: pay(sum === 0n ? fallback : I.map((x, i) => div(x + D[i], sum))),
  };
}

function yuma3Bonds(
  Wb: Matrix,
  cells: readonly (readonly boolean[])[],
  B: Matrix,
  C: Vector,
  { liquid_alpha }: YumaInput['parameters'],
  ema: (fresh: Matrix, old: Matrix) => Matrix,
): Matrix {
  if (!liquid_alpha.enabled || C.every((c) => c === 0n)) return ema(Wb, B);
  const lo = div(BigInt(liquid_alpha.lo) * W, U16 * W);
  const hi = div(BigInt(liquid_alpha.hi) * W, U16 * W);
  const steepness = (BigInt(liquid_alpha.steepness) * W) / 100n;
  return each(Wb, (w, i, j) => {
    if (!cells[i][j]) return 0n;
    const b = B[i][j];
    const d = clamp(w >= b ? w - C[j] : b - w, 0n, W);
    const power = exp(mul(-steepness, d - W / 2n));
    const alpha = clamp(lo + mul(div(W, W + power), hi - lo), lo, hi);
    const value = mul(alpha, w) + mul(W - alpha, b);
    return value > W ? W : value;
  });
}

/** e^x by its series, cut to 32 binary digits after the point; x is first clamped to -20 … 20. */
function exp(x: bigint): bigint {
  const held = clamp(x < 0n ? -x : x, 0n, 20n * W) << 96n;
  const one = W << 96n;
  let sum = one;
  for (let i = 1n, term = one; term > 0n; i++) {
    term = ((term * held) >> 128n) / i;
    sum += term;
  }
  return (x < 0n ? (one * one) / sum : sum) >> 96n;
}
