// A round's scores become pay: Yuma consensus over ids instead of uids, with bonds that a state can keep as plain data.
import { type Refusal, refuse } from './refusal.ts';
import { storedWeights, yumaEpoch } from './yuma.ts';
import { DEFAULT_YUMA_PARAMETERS, type YumaInput, type YumaParameters } from './yuma-input.ts';

/** A validator and the stake that stands behind its scores. */
export interface StakedValidator {
  readonly id: string;
  readonly stake: bigint | number;
}

/** Bonds between rounds: for each validator its pairs of worker and u16, all sorted by id. Plain data: JSON and CBOR carry it. */
export type RoundBonds = readonly (readonly [
  validator: string,
  bonds: readonly (readonly [worker: string, bond: number])[],
])[];

/** The rules of a round; see YumaParameters. */
export type RoundRules = Pick<
  YumaParameters,
  'kappa' | 'bonds_moving_average' | 'bonds_penalty' | 'liquid_alpha' | 'yuma3' | 'min_stake'
>;

/** The field's defaults, with "Yuma 3", under which a validator that is silent in a round earns nothing in it. */
export const DEFAULT_ROUND_RULES: RoundRules = {
  kappa: DEFAULT_YUMA_PARAMETERS.kappa,
  bonds_moving_average: DEFAULT_YUMA_PARAMETERS.bonds_moving_average,
  bonds_penalty: DEFAULT_YUMA_PARAMETERS.bonds_penalty,
  liquid_alpha: DEFAULT_YUMA_PARAMETERS.liquid_alpha,
  yuma3: true,
  min_stake: 0,
};

/** What a round decides. Shares are integers of 2^-32, for every id that was listed. */
export interface RoundConsensus {
  /**
   * Shares of what is paid for work; together 2^32 less rounding, or all 0 where no work has consensus. A minority that lies raises
   * nobody's, but lowers somebody's by withholding its part of the weight; where nobody's pay may move, pay by `consensus`.
   */
  readonly incentives: Map<string, bigint>;
  /** Shares of what is paid for judging; likewise. */
  readonly dividends: Map<string, bigint>;
  /**
   * The weight of each worker that enough stake stands behind, out of a validator's whole row. Where all others agree, whoever has
   * less stake than κ cannot move it.
   */
  readonly consensus: Map<string, bigint>;
  /** What is left of each validator's row when it is clipped to the consensus. */
  readonly validator_trust: Map<string, bigint>;
  readonly bonds: RoundBonds;
}

/**
 * One round of Yuma consensus.
 *
 * `scores` holds, for each validator that spoke, whole numbers from 0 for workers; who is missing in a row has 0. Only ratios within
 * a row count. A validator without a row is silent and has no voice in this round; one with an empty row has a voice and says 0
 * of everybody. A validator's own work, where one id is in both lists, is judged by the others only.
 * `bonds` is what the round before returned ([] at first). Bonds from or to an id that is not listed now are forgotten: list a worker
 * for as long as its record should count.
 *
 * Neither the order of the lists nor that of the maps matters. A Refusal with code 'bad-epoch' where an id comes twice, a score is
 * for or from an id that is not listed, or a number is out of its bounds; nothing throws.
 */
export function consensusOfRound(
  validators: readonly StakedValidator[],
  workers: readonly string[],
  scores: ReadonlyMap<string, ReadonlyMap<string, number>>,
  bonds: RoundBonds,
  rules: RoundRules,
): RoundConsensus | Refusal {
  const judges = validators.toSorted((a, b) => compare(a.id, b.id));
  const judged = workers.toSorted(compare);
  const ids = judges.map(({ id }) => id);
  const validator_uids = new Map(ids.map((id, i) => [id, i]));
  const worker_uids = new Map(judged.map((id, i) => [id, judges.length + i]));
  const problem = problemOf(ids, judged, scores, validator_uids, worker_uids);
  if (problem) return refuse('bad-epoch', `round: ${problem}`);

  const size = judges.length + judged.length;
  const result = yumaEpoch({
    stake: Array.from({ length: size }, (_, i) => judges[i]?.stake ?? 0),
    weights: rowsOf(size, ids, (id) => weightsOf(id, scores.get(id), worker_uids)),
    validator_permits: Array.from({ length: size }, (_, i) => i < judges.length),
    bonds: rowsOf(size, ids, bondsOf(bonds, worker_uids)),
    ...blocksOf(size, (i) => scores.has(ids[i])),
    emission: 0,
    parameters: { ...rules, max_validators: size, owner_uid: null, activity_cutoff_factor: 0 },
  });
  if ('code' in result) return result;
  const named = (list: readonly string[], from: number, values: readonly number[]): Map<string, bigint> =>
    new Map(list.map((id, i) => [id, BigInt(values[from + i])]));
  const { exact } = result;
  return {
    incentives: named(judged, judges.length, exact.incentives),
    dividends: named(ids, 0, exact.dividends),
    consensus: named(judged, judges.length, exact.consensus),
    validator_trust: named(ids, 0, exact.validator_trust),
    bonds: ids.flatMap((id, i) => {
      const row = result.bonds[i];
      return row.length === 0
        ? []
        : [[id, row.map(([uid, bond]) => [judged[uid - judges.length], bond] as const)] as const];
    }),
  };
}

/** The order of ids: by UTF-16 code units, the same everywhere. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function problemOf(
  validators: readonly string[],
  workers: readonly string[],
  scores: ReadonlyMap<string, ReadonlyMap<string, number>>,
  validator_uids: ReadonlyMap<string, number>,
  worker_uids: ReadonlyMap<string, number>,
): string | null {
  const twice = (ids: readonly string[]) => ids.find((id, i) => i > 0 && ids[i - 1] === id);
  const double = twice(validators) ?? twice(workers);
  if (double !== undefined) return `${double} is listed twice`;
  for (const [validator, row] of scores) {
    if (!validator_uids.has(validator)) return `scores by ${validator}, who is not a listed validator`;
    for (const [worker, score] of row) {
      if (!worker_uids.has(worker)) return `${validator} scores ${worker}, who is not a listed worker`;
      if (!Number.isSafeInteger(score) || score < 0) {
        return `${validator} scores ${worker}: expected a whole number from 0, got ${score}`;
      }
    }
  }
  return null;
}

type Cells = [number, number][];

function rowsOf(size: number, validators: readonly string[], row: (id: string) => Cells): Cells[] {
  return Array.from({ length: size }, (_, i) => (i < validators.length ? row(validators[i]) : []));
}

/** A validator's scores as stored weights, without what it says of itself. */
function weightsOf(
  validator: string,
  scores: ReadonlyMap<string, number> | undefined,
  worker_uids: ReadonlyMap<string, number>,
): Cells {
  const uids: number[] = [];
  const others: number[] = [];
  for (const [worker, score] of scores ?? []) {
    if (worker === validator) continue;
    uids.push(worker_uids.get(worker)!);
    others.push(score);
  }
  return storedWeights(others).map((weight, k) => [uids[k], weight]);
}

/** Each validator's bonds to those who are listed now. */
function bondsOf(bonds: RoundBonds, worker_uids: ReadonlyMap<string, number>): (validator: string) => Cells {
  const rows = new Map(bonds);
  return (validator) =>
    (rows.get(validator) ?? []).flatMap(([worker, bond]) => {
      const uid = worker_uids.get(worker);
      return uid === undefined ? [] : [[uid, bond]];
    });
}

/** Block numbers by which whoever spoke is active, and neither weights nor bonds are older than a registration. */
function blocksOf(
  size: number,
  spoke: (uid: number) => boolean,
): Pick<YumaInput, 'last_update' | 'registered' | 'block' | 'tempo'> {
  const block = 10;
  return {
    last_update: Array.from({ length: size }, (_, i) => (spoke(i) ? block : 1)),
    registered: new Array(size).fill(0),
    block,
    tempo: 1,
  };
}
