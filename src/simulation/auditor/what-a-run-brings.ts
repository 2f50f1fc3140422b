// The bytes that a run takes along from log to log (potluck-moved-run-v1), read a second time: DAG-CBOR by our strict decoder, maps as lists of
// pairs. Whether they could have come of events is not asked here.
import type { RunCreated } from '../../core/events/run-created.ts';
import { decodeStrict, type EventValue } from '../../protocol/strict-cbor.ts';
import { newPeer, openRun, type Peer, type RunBook } from './books.ts';

/** Whose bytes they are, and where and when they have come. */
export interface Bringing {
  readonly id: string;
  readonly owner: string;
  readonly spec: RunCreated;
  /** Of the log, with the event that brings the last of them. */
  readonly size: number;
  readonly moves: number;
}

type Form = Readonly<Record<string, EventValue>>;
type Pairs<T> = readonly (readonly [string, T])[];

const mapped = <T>(pairs: EventValue): Map<string, T> => new Map(pairs as unknown as Pairs<T>);
const listed = <T>(list: EventValue): T[] => [...(list as unknown as readonly T[])];

/** The book of the run and the blobs that it needs; null: the bytes are no such form. */
export function bookOfForm(
  bytes: Uint8Array,
  bringing: Bringing,
): { readonly book: RunBook; readonly needed: string[] } | null {
  let form: Form;
  try {
    form = decodeStrict(bytes) as Form;
  } catch {
    return null;
  }
  if (form?.form !== 'potluck-moved-run-v1') return null;
  const { spec } = bringing;
  if (isBeyond(form) || otherAncestor(form, spec)) return null;
  const recent = listed<{ round: number; bundle: string; step: string | null }>(form.recent);
  const checkpoint = form.checkpoint as unknown as { merged_rounds: number; model: string; rest: string | null };
  const steps = recent.map(({ step }) => step);
  const named = [spec.params, spec.game_file ?? null, checkpoint.model, checkpoint.rest, ...steps];
  const needed = [...named.filter((hash) => hash !== null), ...recent.map(({ bundle }) => bundle)];
  return { book: { ...bookOf(form, bringing), ...kept(checkpoint), step: steps.at(-1) ?? null }, needed };
}

/** What is limited by what a run may merge in all. */
const OF_WORK = ['merged_amount', 'amounts', 'credit_amount'];
const [MOST_COUNTED, MOST_OF_A_BOND] = [2 ** 52, 65_535];

/** Whether something is counted so far that later rounds could not count on from it exactly. */
function isBeyond(value: EventValue, most = MOST_COUNTED): boolean {
  if (typeof value === 'number') return value > most;
  if (Array.isArray(value)) return value.some((item) => isBeyond(item, most));
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return false;
  return Object.entries(value).some(
    ([field, item]) => !OF_WORK.includes(field) && isBeyond(item, field === 'bonds' ? MOST_OF_A_BOND : most),
  );
}

/** Whether a run would owe to another ancestor than it was created with. */
function otherAncestor({ lineage }: Form, { ancestor }: RunCreated): boolean {
  if (lineage === null || !ancestor) return lineage !== (ancestor ?? null);
  const { holders, ...said } = lineage as Form;
  const named = Object.entries(ancestor);
  return Object.keys(said).length !== named.length || named.some(([name, value]) => said[name] !== value);
}

const kept = ({ merged_rounds, rest }: { readonly merged_rounds: number; readonly rest: string | null }) => ({
  whole_rounds: merged_rounds,
  rest,
});

function bookOf(form: Form, { id, owner, spec, size, moves }: Bringing): RunBook {
  const lineage = form.lineage as unknown as { royalty_permille: number; holders: Pairs<number> } | null;
  const royalty = { permille: lineage?.royalty_permille ?? 0, holders: new Map(lineage?.holders ?? []) };
  const serving = form.serving as unknown as { margins: EventValue; published: number };
  const stated = form.stated as unknown as { merged_rounds: number; model: string; shares: EventValue } | null;
  const locks = listed<RunBook['locks'][number]>(form.locks).map((lock) => ({ ...lock }));
  const bonds = listed<[string, Pairs<number>]>(form.bonds).map(([judge, row]) => [judge, new Map(row)] as const);
  const last = listed<[string, { pledge: string; verdicts: Pairs<boolean> }]>(form.last_judged);
  const peers = listed<Brought>(form.peers).map((peer) => [peer.id, peerOf(peer)] as const);
  const same = { rules: form.rules, pending: form.pending_rules, proposals: form.proposals, round: form.round };
  const counts = { attempt: form.attempt, model: form.model, settlements: form.settlements };
  const sums = { unearned: form.unearned_shares, promised: form.emitted_shares, merged_amount: form.merged_amount };
  return {
    ...openRun(id, owner, spec, royalty, size),
    ...(same as Pick<RunBook, keyof typeof same>),
    ...(counts as Pick<RunBook, keyof typeof counts>),
    ...(sums as Pick<RunBook, keyof typeof sums>),
    ...{ phase: 'paused', moves, eligible: listed(form.eligible), stated_rounds: form.stated_rounds as number },
    ...{ margins: mapped(serving.margins), published: serving.published, locks },
    ...{ earnings: mapped(form.withheld), stake_changes: mapped(form.stake_changes), settled: mapped(form.settled) },
    ...{ shares: mapped(form.shares), amounts: mapped(form.amounts), bonds: new Map(bonds) },
    stated: stated && { ...stated, shares: mapped(stated.shares) },
    last: new Map(last.map(([work, { pledge, verdicts }]) => [work, { pledge, said: new Map(verdicts) }])),
    peers: new Map(peers),
  };
}

/** A device as the form has it. Nobody is here when a run comes. */
interface Brought extends Omit<Peer, 'held' | 'measured' | 'merged' | 'merged_in' | 'refused' | 'valid' | 'forfeited'> {
  readonly held: readonly (readonly [number, number])[];
  readonly evaluated_rounds: number | null;
  readonly merged_submissions: number;
  readonly merged_round: number | null;
  readonly refused_submissions: number;
  readonly consecutive_valid: number;
  readonly forfeited_shares: number;
}

function peerOf({ id, role, joins, stage, held, judged, credit_amount, ...peer }: Brought): Peer {
  return {
    ...newPeer(id),
    ...{ role, joins, stage, held: new Map(held), judged, credit_amount },
    ...{ measured: peer.evaluated_rounds, merged: peer.merged_submissions, merged_in: peer.merged_round },
    ...{ refused: peer.refused_submissions, valid: peer.consecutive_valid, forfeited: peer.forfeited_shares },
    ...{ plants_right: peer.plants_right, plants_wrong: peer.plants_wrong, strikes: peer.strikes },
    ...{ struck_round: peer.struck_round, suspended_until: peer.suspended_until, warned_until: peer.warned_until },
  };
}
