// Who is paid how much: the formula of docs/decisions/0013 in whole numbers. Workers by the stake-weighted median of what judges vouch
// for, validators by bonds; every product and quotient is exact and then cut to 32 binary digits after the point, as it is stated.
import { accountOf, type Books, type RunBook } from './books.ts';
import { acceptedWork, voices } from './who-is-accepted.ts';

const ONE = 1n << 32n;
const U16 = 65_535n;
/** More than a minority: 32767 of 65535. */
const HALF = (32_767n * ONE) / U16;
/** Nine tenths of a bond stay, the rest follows the round. */
const OLD = (900_000n * ONE) / 1_000_000n;
const NEW = ONE - OLD;

const times = (a: bigint, b: bigint): bigint => (a * b) / ONE;
const sum = (values: Iterable<bigint>): bigint => [...values].reduce((all, value) => all + value, 0n);
const shareOf = (value: bigint, all: bigint): bigint => (all === 0n ? 0n : (value * ONE) / all);
const normal = (values: readonly bigint[]): bigint[] => values.map((value) => shareOf(value, sum(values)));

/** The largest value that enough stake supports; 0 where there is none. */
function reachedBy(values: readonly { readonly value: bigint; readonly stake: bigint }[], least: bigint): bigint {
  const reached = values.filter(
    ({ value }) => sum(values.filter((other) => other.value >= value).map(({ stake }) => stake)) >= least,
  );
  return reached.reduce((most, { value }) => (value > most ? value : most), 0n);
}

/** Validators that revealed all verdicts that they had committed; only their verdicts pay and are paid. */
function speakersOf(run: RunBook): string[] {
  const works = [...run.works.values()];
  const unshown = works.flatMap(({ seals, verdicts, first, knew }) => [
    ...[...seals.keys()].filter((id) => !verdicts.has(id)),
    ...(first ? [...knew.keys()].filter((id) => !first.has(id)) : []),
  ]);
  return [...new Set(works.flatMap(({ verdicts }) => [...verdicts.keys()]))]
    .filter((id) => !unshown.includes(id))
    .sort();
}

/** Each speaker's row of whole numbers up to 65535, largest first rounded to the nearest: what it vouches for of each worker. */
function rowsOf(run: RunBook, speakers: readonly string[], stakes: Map<string, bigint>): Map<string, bigint>[] {
  const middles = new Map<string, bigint>();
  for (const { worker, verdicts } of run.works.values()) {
    const given = [...verdicts].filter(([id]) => stakes.has(id));
    const words = given.map(([id, { weight }]) => ({ value: BigInt(weight), stake: stakes.get(id)! }));
    // Half of the stake, rounded up: whoever was not drawn is as if it had said what they say.
    middles.set(worker, reachedBy(words, (sum(words.map(({ stake }) => stake)) + 1n) / 2n));
  }
  return speakers.map((id) => {
    const row = new Map<string, bigint>();
    for (const { worker, verdicts } of run.works.values()) {
      if (worker !== id) row.set(worker, BigInt(verdicts.get(id)?.weight ?? middles.get(worker)!));
    }
    const most = [...row.values()].reduce((largest, value) => (value > largest ? value : largest), 0n);
    for (const [worker, value] of row) row.set(worker, most === 0n ? 0n : (2n * value * U16 + most) / (2n * most));
    return row;
  });
}

export interface Claims {
  /** By id. */
  readonly workers: Map<string, bigint>;
  readonly validators: Map<string, bigint>;
  readonly bonds: RunBook['bonds'];
}

/** What workers and validators can claim of the round's parts, and the bonds that it leaves. */
export function claimsOf(books: Books, run: RunBook): Claims {
  const speakers = speakersOf(run);
  const stakes = voices(books, run, speakers);
  const share = normal(speakers.map((id) => stakes.get(id)!));
  const active = normal(share);
  const bonded = [...run.bonds.values()].flatMap((row) => [...row.keys()]);
  const workers = [...new Set([...[...run.works.values()].map(({ worker }) => worker), ...bonded])].sort();
  const rows = rowsOf(run, speakers, stakes).map((row) => {
    const all = sum(row.values());
    return workers.map((worker) => shareOf(row.get(worker) ?? 0n, all));
  });

  const voters = normal(active);
  const agreed = workers.map((_, w) =>
    reachedBy(
      rows.map((row, s) => ({ value: row[w], stake: voters[s] })).filter(({ stake }) => stake > 0n),
      HALF,
    ),
  );
  const clipped = rows.map((row) => row.map((value, w) => (value < agreed[w] ? value : agreed[w])));
  const incentive = normal(workers.map((_, w) => sum(clipped.map((row, s) => times(active[s], row[w])))));
  const bonds = clipped.map((row, s) =>
    row.map((value, w) => {
      const old = BigInt(run.bonds.get(speakers[s])?.get(workers[w]) ?? 0);
      return times(NEW, value) + times(OLD, shareOf(old, U16));
    }),
  );
  const columns = workers.map((_, w) => sum(bonds.map((row) => row[w])));
  const earned = bonds.map((row, s) => {
    const judged = sum(row.map((bond, w) => times(shareOf(bond, columns[w]), incentive[w])));
    return times(judged, active[s]);
  });
  return {
    workers: new Map(workers.map((id, w) => [id, agreed[w]])),
    validators: new Map(normal(earned).map((value, s) => [speakers[s], value])),
    bonds: storedBonds(speakers, workers, bonds, share),
  };
}

/** Bonds as they are kept: u16, cut; none of validators without stake. */
function storedBonds(speakers: string[], workers: string[], bonds: bigint[][], share: bigint[]): RunBook['bonds'] {
  const kept = speakers.map((id, s): [string, Map<string, number>] => {
    const row = bonds[s].map((bond, w): [string, number] => {
      const value = (bond * U16) / ONE;
      return [workers[w], share[s] === 0n ? 0 : Number(value < U16 ? value : U16)];
    });
    return [id, new Map(row.filter(([, bond]) => bond > 0))];
  });
  return new Map(kept.filter(([, row]) => row.size > 0));
}

/** Hamilton's method: whole parts, then one more for the largest remainders, of equal ones for the smallest id. */
export function divide(total: bigint, claims: ReadonlyMap<string, bigint>): Map<string, bigint> {
  const all = sum(claims.values());
  if (all === 0n) return new Map();
  const order = [...claims.keys()]
    .filter((id) => claims.get(id)! > 0n)
    .map((id) => ({ id, left: (total * claims.get(id)!) % all }))
    .sort((a, b) => (a.left === b.left ? (a.id < b.id ? -1 : 1) : a.left > b.left ? -1 : 1));
  const whole = new Map(order.map(({ id }) => [id, (total * claims.get(id)!) / all]));
  const over = Number(total - sum(whole.values()));
  for (const { id } of order.slice(0, over)) whole.set(id, whole.get(id)! + 1n);
  return whole;
}

/** A round promises so many shares, halved every so many rounds. */
export function promiseOf({ shares_per_round, halving_rounds }: RunBook['rules']['emission'], round: number): bigint {
  if (halving_rounds === 0) return BigInt(shares_per_round);
  return BigInt(shares_per_round) >> BigInt(Math.floor(round / halving_rounds));
}

export interface Payment {
  /** Who earned it; an owner or an ancestor's holder is paid without a bond. */
  readonly device: string | null;
  readonly account: string;
  readonly shares: number;
  /** Of the work that it is paid for. */
  readonly amount: number;
}

/** Everybody's shares of the round that is being merged. What is not among them nobody has earned. */
export function paymentsOf(books: Books, run: RunBook, claims: Claims): Payment[] {
  const { emission } = run.rules;
  const { permille, holders } = run.royalty;
  const total = promiseOf(emission, run.round);
  const whole = divide(
    total,
    new Map([
      ['ancestors', BigInt(permille)],
      ['run', BigInt(1000 - permille)],
    ]),
  );
  const parts = divide(
    whole.get('run') ?? 0n,
    new Map([
      ['owner', BigInt(emission.owner_permille)],
      ['workers', BigInt(emission.workers_permille)],
      ['validators', BigInt(emission.validators_permille)],
    ]),
  );
  const credited = new Map(acceptedWork(books, run).credited.map(({ worker, body }) => [worker, body.amount]));
  const paid = (
    part: bigint,
    entitled: [string, bigint][],
    withBond: boolean,
    work?: Map<string, number>,
  ): Payment[] => {
    const claimed = new Map(entitled.filter(([, weight]) => weight > 0n));
    const shares = divide(part, claimed);
    return [...claimed.keys()].map((id) => ({
      device: withBond ? id : null,
      account: withBond ? accountOf(books, id) : id,
      shares: Number(shares.get(id) ?? 0n),
      amount: work?.get(id) ?? 0,
    }));
  };
  return [
    ...paid(
      whole.get('ancestors') ?? 0n,
      [...holders].map(([id, held]) => [id, BigInt(held)]),
      false,
    ),
    ...paid(parts.get('owner') ?? 0n, [[accountOf(books, run.owner), 1n]], false),
    ...paid(
      parts.get('workers') ?? 0n,
      [...claims.workers].filter(([id]) => credited.has(id)),
      true,
      credited,
    ),
    ...paid(parts.get('validators') ?? 0n, [...claims.validators], true),
  ];
}
