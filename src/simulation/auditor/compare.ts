// Where the core's state and the auditor's books say something else of the same log.
import type { NetworkState, RunState } from '../../core/state.ts';
import type { Books, Listed, RunBook } from './books.ts';
import { attendance } from './when.ts';
import { holders } from './who-holds-which-stage.ts';

/** The first thing in which they differ, in words; null: they agree. */
export function difference(state: NetworkState, books: Books): string | null {
  const known = ({ events, time_ms, runs }: { events: number; time_ms: number; runs: ReadonlyMap<string, unknown> }) =>
    plain({ events, time_ms, runs: [...runs.keys()] });
  if (known(state) !== known(books)) return `the state is ${known(state)}, the auditor's ${known(books)}`;
  const people = ({ devices, addresses }: Pick<Books, 'devices' | 'addresses'>) => plain({ devices, addresses });
  if (people(state) !== people(books)) return `people are ${people(state)}, the auditor's ${people(books)}`;
  const places = ({ registry, directory }: Pick<Books, 'registry' | 'directory'>) =>
    plain([registry && [registry.hub, registry.url, registry.size, registry.root], [...directory].map(placeOf)]);
  if (places(state) !== places(books)) return `the registry is ${places(state)}, the auditor's ${places(books)}`;
  const [money, purses] = [moneyOf(state), moneyInPurses(books)];
  if (plain(money) !== plain(purses)) return `the money is ${plain(money)}, the auditor's ${plain(purses)}`;
  const [counted, said] = [judgedOf(state), saidOf(books)];
  if (plain(counted) !== plain(said)) return `judged answers are ${plain(counted)}, the auditor's ${plain(said)}`;
  const [come, coming] = [arrivalsOf(state), comingIn(books)];
  if (plain(come) !== plain(coming)) return `what comes is ${plain(come)}, the auditor's ${plain(coming)}`;
  for (const [id, run] of state.runs) {
    const [core, auditor] = [asKept(run), asAudited(books.runs.get(id)!)];
    for (const what of Object.keys(auditor)) {
      const differs = differing(core[what], auditor[what]);
      if (differs) return `run ${id.slice(0, 8)}: ${what} is ${differs[0]}, the auditor's books say ${differs[1]}`;
    }
  }
  return null;
}

const placeOf = ([run, { hub, url, owner, listed, name, moves }]: [string, Listed]) => [
  run,
  ...[hub, url, owner, listed, name, moves],
];

/** One text for what is the same: maps as lists of pairs, whose order the log gives; fields in whatever order they were read. */
export const plain = (value: unknown): string =>
  JSON.stringify(value, (_, part) => {
    if (part instanceof Map) return [...part];
    if (part === null || typeof part !== 'object' || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  }) ?? 'undefined';

/** Both as text where they differ: of two lists the first entry that is another one. */
function differing(found: unknown, expected: unknown): readonly [string, string] | null {
  if (plain(found) === plain(expected)) return null;
  if (!Array.isArray(found) || !Array.isArray(expected)) return [plain(found), plain(expected)];
  const at = found.findIndex((entry, i) => plain(entry) !== plain(expected[i]));
  return at === -1 ? ['nothing more', plain(expected[found.length])] : [plain(found[at]), plain(expected[at])];
}

/** In order of the key, for maps whose order says nothing. */
export const sorted = <T>(map: ReadonlyMap<string, T>): [string, T][] => [...map].sort(([a], [b]) => (a < b ? -1 : 1));

/** By purse, what is in it, as the auditor names them; and how often each account was granted or paid something. */
function moneyOf({ paid }: NetworkState): readonly unknown[] {
  const micro: [string, number][] = [
    ...[...paid.credits].map(([account, { left_micro }]): [string, number] => [`credit ${account}`, left_micro]),
    ...[...paid.earnings].map(([account, { owed_micro }]): [string, number] => [`earned ${account}`, owed_micro]),
    ...[...paid.pots].map(([run, pot_micro]): [string, number] => [`holders ${run}`, pot_micro]),
    ['gateway', paid.gateway_micro],
    ['granted', paid.granted_micro],
    ['paid', paid.paid_micro],
  ];
  const counts: [string, number][] = [
    ...[...paid.credits].map(([account, { grants }]): [string, number] => [`grants ${account}`, grants]),
    ...[...paid.earnings].map(([account, { payments }]): [string, number] => [`payments ${account}`, payments]),
  ];
  return [filled(micro), filled(counts), paid.batches, paid.answers];
}

function moneyInPurses({ purses }: Books): readonly unknown[] {
  const micro = [...purses.micro]
    .filter(([purse]) => purse !== 'world')
    .map(([purse, held]): [string, number] => [purse, Number(held)]);
  return [filled(micro), filled([...purses.counts]), purses.batches, purses.answers];
}

const judgedOf = ({ judged: { devices, batches } }: NetworkState): unknown => [
  batches,
  sorted(devices).map(([id, { accepted, refused }]) => [id, accepted, refused]),
];

const saidOf = ({ said: { of, events } }: Books): unknown => [
  events,
  sorted(of).map(([id, { right, wrong }]) => [id, right, wrong]),
];

const arrivalsOf = ({ arriving }: NetworkState): unknown =>
  [...arriving].map(([run, { by, from, spec, moves, state, size_bytes, since_ms, parts, blobs }]) => [
    ...[run, by, from, spec.name, moves, state, size_bytes, since_ms, parts.length, blobs],
    Buffer.concat(parts).toString('base64'),
  ]);

const comingIn = ({ arriving }: Books): unknown =>
  [...arriving].map(([run, { by, from, spec, moves, state, size_bytes, since_ms, parts, blobs, bytes }]) => [
    ...[run, by, from, spec.name, moves, state, size_bytes, since_ms, parts, blobs],
    Buffer.from(bytes).toString('base64'),
  ]);

/** What is not nothing, in order of its name. */
const filled = (amounts: readonly [string, number][]): [string, number][] =>
  amounts.filter(([, amount]) => amount !== 0).sort(([a], [b]) => (a < b ? -1 : 1));

function asKept(run: RunState): Record<string, unknown> {
  const { phase, closing, round, attempt, model, seed, opened_ms, deadline_ms, rules, proposals, settlements } = run;
  return {
    ...{ phase, closing, round, attempt, model, seed, opened_ms, deadline_ms, rules, proposals, settlements },
    ...{ grace_ms: run.grace_deadline_ms, judging_ms: run.judging_deadline_ms, reveal_ms: run.reveal_deadline_ms },
    ...{
      pending: run.pending_rules,
      idle: [run.idle.rounds, run.idle.opens_ms, run.empty_since_ms],
      attendance: run.attendance,
    },
    ...{ balances_since: run.balances_since, whole_rounds: run.checkpoint.merged_rounds, stated: run.stated },
    steps: [run.recent.at(-1)?.step ?? null, run.checkpoint.rest],
    moves: [run.leaving && `${run.leaving.hub} ${run.leaving.url}`, run.moved !== null, run.moves],
    ...{ stated_rounds: run.stated_rounds, promised: run.emitted_shares, merged_amount: run.merged_amount },
    seats: [run.eligible, run.first_amount, run.draw, run.replaced, run.silent, run.appeals],
    watches: [...run.watches].map(([id, { best, worse_models, round }]) => [id, best, worse_models, round]),
    works: [...run.submissions.values()].map((work) => [
      ...[
        work.id,
        work.worker,
        work.judges,
        work.first && [...work.first.keys()],
        [...work.seals],
        [...work.verdicts.keys()],
        [...work.duties],
      ],
    ]),
    peers: [...run.peers.values()].map((peer) => [
      ...[peer.id, peer.role, peer.present, peer.joins, peer.evaluated_rounds, peer.credit_amount],
      ...[peer.merged_submissions, peer.merged_round, peer.refused_submissions, peer.consecutive_valid],
      ...[peer.plants_right, peer.plants_wrong, peer.forfeited_shares],
      ...[peer.openings, peer.strikes, peer.struck_round, peer.suspended_until, peer.warned_until],
      ...[peer.stage, peer.held],
    ]),
    stages: run.stage_workers,
    last: [...run.last_judged].map(([id, { pledge, verdicts }]) => [id, pledge, [...verdicts]]),
    decided: [...run.decided].map(([id, { worker, round, found, amount, account, said, lost, ...work }]) => [
      ...[id, worker, round, found, amount, account, said, lost, work.record, work.refusals, work.contests],
    ]),
    contests: [...run.contests].map(([id, { by, shows_round, judges, seals, verdicts }]) => [
      ...[id, by, shows_round, judges, [...seals], [...verdicts.keys()]],
    ]),
    limits: [sorted(run.serving.margins), run.serving.published],
    ...{ shares: sorted(run.shares), unearned: run.unearned_shares, amount: sorted(run.amounts) },
    ...{ earnings: sorted(run.withheld), locks: run.locks, staked: sorted(run.staked), settled: sorted(run.settled) },
    stake_changes: sorted(run.stake_changes),
    bonds: run.bonds,
  };
}

function asAudited(run: RunBook): Record<string, unknown> {
  const { phase, closing, round, attempt, model, seed, opened_ms, deadline_ms, rules, proposals, settlements } = run;
  const { grace_ms, judging_ms, reveal_ms, pending, balances_since, whole_rounds, stated, stated_rounds } = run;
  const { promised, merged_amount, unearned, locks } = run;
  return {
    ...{ phase, closing, round, attempt, model, seed, opened_ms, deadline_ms, rules, proposals, settlements },
    ...{ grace_ms, judging_ms, reveal_ms, pending, balances_since, whole_rounds, stated, stated_rounds },
    ...{ idle: [run.idle_rounds, run.opens_ms, run.empty_ms], attendance: attendance(run), promised, merged_amount },
    steps: [run.step, run.rest],
    moves: [run.leaves_for, run.gone, run.moves],
    seats: [run.eligible, run.first_amount, run.draw, run.replaced, run.silent, run.appeals],
    watches: [...run.watches].map(([id, { best, worse, round }]) => [id, best, worse, round]),
    works: [...run.works.values()].map((work) => [
      ...[
        work.id,
        work.worker,
        work.judges,
        work.first && [...work.first.keys()],
        [...work.seals],
        [...work.verdicts.keys()],
        [...work.knew],
      ],
    ]),
    peers: [...run.peers.values()].map((peer) => [
      ...[peer.id, peer.role, peer.present, peer.joins, peer.measured, peer.credit_amount],
      ...[peer.merged, peer.merged_in, peer.refused, peer.valid],
      ...[peer.plants_right, peer.plants_wrong, peer.forfeited],
      ...[peer.openings, peer.strikes, peer.struck_round, peer.suspended_until, peer.warned_until],
      ...[peer.stage, peer.held],
    ]),
    stages: holders(run).map(({ length }) => length),
    last: [...run.last].map(([id, { pledge, said }]) => [id, pledge, [...said]]),
    decided: [...run.decided].map(([id, { worker, round, found, amount, account, answer, lost, ...work }]) => [
      ...[id, worker, round, found, amount, account, answer, lost, work.valid, work.refused, work.contests],
    ]),
    contests: [...run.contests].map(([id, { by, shows, judges, seals, verdicts }]) => [
      ...[id, by, shows, judges, [...seals], [...verdicts.keys()]],
    ]),
    limits: [sorted(run.margins), run.published],
    ...{ shares: sorted(run.shares), unearned, amount: sorted(run.amounts), earnings: sorted(run.earnings), locks },
    ...{ staked: sorted(run.staked), settled: sorted(run.settled), stake_changes: sorted(run.stake_changes) },
    bonds: sorted(run.bonds).map(([id, row]) => [id, sorted(row)]),
  };
}
