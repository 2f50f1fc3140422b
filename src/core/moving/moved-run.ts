// What a run takes along to another hub's log: all that later rounds, pay and peers build on, in a form of its own with a version, so that it does
// not change with the core's state. What belongs to an open round stays behind: a run leaves only while it is paused and nothing is contested. So do
// decisions that could still be contested: the work that a jury would repeat is in the log that is left.
import { decode, encode } from '@ipld/dag-cbor';
import { z } from 'zod';
import { sha256Hex } from '../../protocol/hash.ts';
import { count, hash, oneLine, permille, role } from '../../protocol/schemas.ts';
import { measures, name } from '../events/fields.ts';
import { MarginsSchema } from '../events/limits-published.ts';
import { LOGS_LIMITS } from '../limits.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { FILTER_BYTES } from '../rounds/forgetting.ts';
import { RulesSchema } from '../rules.ts';
import { U16_MAX } from '../shares/fixed-point.ts';
import type { NetworkState, PeerState, RunState } from '../state.ts';

/** Keys are in the order in which the run has learned of them, which later rounds follow; none is there twice. */
const mapOf = <Value extends z.ZodType>(value: Value) =>
  z
    .array(z.tuple([z.string().max(80), value]))
    .refine((pairs) => new Set(pairs.map(([key]) => key)).size === pairs.length, 'a key is there twice')
    .transform((pairs) => new Map(pairs as [string, z.output<Value>][]));

const nullable = <Value extends z.ZodType>(value: Value) => z.union([value, z.null()]);

const filter = z.custom<Uint8Array>(
  (value) => value instanceof Uint8Array && value.length === FILTER_BYTES,
  `expected ${FILTER_BYTES} bytes`,
);

/**
 * Whoever brings a run may have made it up, and later rounds count on from it: every sum stays exact. What work amounts to has a limit of its own,
 * beyond which a run takes no more (CORE_LIMITS.merged_amount).
 */
const exact = count.max(LOGS_LIMITS.brought_count);

const PeerSchema = z.strictObject({
  ...{ id: hash, role, name, runtime: oneLine(40), joins: exact, stage: nullable(exact) },
  held: z.array(z.tuple([exact, exact])).transform((pairs) => new Map(pairs)),
  ...{ credit_amount: count, merged_submissions: exact, merged_round: nullable(exact), refused_submissions: exact },
  ...{ judged: z.boolean(), evaluated_rounds: nullable(exact), consecutive_valid: exact },
  ...{ plants_right: exact, plants_wrong: exact, forfeited_shares: exact },
  ...{ strikes: exact, struck_round: exact, suspended_until: exact, warned_until: exact },
});

const WithheldSchema = z.strictObject({ round: exact, account: hash, shares: exact, amount: exact });
const EvaluationSchema = z.strictObject({ merged_rounds: exact, measured: measures });

const MergedRoundSchema = z.strictObject({
  ...{ round: exact, parent: hash, bundle: hash, step: nullable(hash), model: hash },
});

const MovedRunSchema = z.strictObject({
  form: z.literal('potluck-moved-run-v1'),
  rules: RulesSchema,
  pending_rules: nullable(z.strictObject({ from_round: exact, rules: RulesSchema })),
  proposals: exact,
  halted: nullable(z.literal('models-get-worse')),
  round: exact,
  attempt: exact,
  /** Who had a seat in the last round: they may contest what was decided until the next one opens. */
  eligible: z.array(hash),
  model: hash,
  checkpoint: z.strictObject({ merged_rounds: exact, model: hash, rest: nullable(hash) }),
  recent: z.array(MergedRoundSchema),
  /** Those who left without a record may be there for a while beside as many as a run has places for: the bytes limit them. */
  peers: z.array(PeerSchema),
  forgetting: z.strictObject({
    ...{ leaves: exact, least_session: exact, next_session: exact },
    keys: nullable(filter),
  }),
  withheld: mapOf(z.array(WithheldSchema)),
  locks: z.array(z.strictObject({ account: hash, device: hash, shares: exact, free_round: nullable(exact) })),
  stake_changes: mapOf(exact),
  settled: mapOf(exact),
  settlements: exact,
  bonds: z.array(z.tuple([hash, z.array(z.tuple([hash, count.max(U16_MAX)]))])),
  last_judged: mapOf(z.strictObject({ pledge: hash, verdicts: mapOf(z.boolean()) })),
  shares: mapOf(exact),
  unearned_shares: exact,
  emitted_shares: exact,
  amounts: mapOf(count),
  stated_rounds: exact,
  stated: nullable(z.strictObject({ merged_rounds: exact, model: hash, shares: mapOf(exact) })),
  lineage: nullable(
    z.strictObject({
      ...{ run: hash, merged_rounds: exact, model: hash, royalty_permille: permille },
      holders: mapOf(exact),
    }),
  ),
  merged_amount: count,
  submissions_total: exact,
  bytes_submitted: exact,
  evaluation: nullable(EvaluationSchema),
  first_evaluation: nullable(EvaluationSchema),
  serving: z.strictObject({ margins: mapOf(MarginsSchema), published: exact }),
});
type MovedRun = z.output<typeof MovedRunSchema>;

/** What of a run goes along, taken from its state. The rest is of the open round, of those who are here, or of the log. */
const CARRIED = [
  ...([
    'rules',
    'pending_rules',
    'proposals',
    'halted',
    'round',
    'attempt',
    'eligible',
    'model',
    'checkpoint',
    'recent',
  ] as const),
  ...(['forgetting', 'withheld', 'locks', 'stake_changes', 'settled', 'settlements', 'bonds', 'last_judged'] as const),
  ...(['shares', 'unearned_shares', 'emitted_shares', 'amounts', 'stated_rounds', 'stated'] as const),
  ...(['merged_amount', 'submissions_total', 'bytes_submitted', 'evaluation', 'first_evaluation', 'serving'] as const),
];

/** The bytes of what a run takes along. A key that its owner has revoked takes its debts along and no record: elsewhere nobody may know. */
export function encodeMovedRun({ devices }: NetworkState, run: RunState): Uint8Array {
  const carried = Object.fromEntries(CARRIED.map((field) => [field, run[field]]));
  const peers = [...run.peers.values()].map((peer) => {
    const { present, handed_in, openings, ...record } = peer;
    return devices.get(peer.id)?.revoked ? { ...record, consecutive_valid: 0 } : record;
  });
  const { lineage } = run;
  return encode(plain({ form: 'potluck-moved-run-v1', ...carried, lineage: lineage && ancestorOf(lineage), peers }));
}

/** A lineage as it was stated has the fields of its event, in whatever order and number. */
function ancestorOf({ run, merged_rounds, model, royalty_permille, holders }: NonNullable<RunState['lineage']>) {
  return { run, merged_rounds, model, royalty_permille, holders };
}

/** Maps as lists of pairs: DAG-CBOR sorts the keys of a map, and the order counts. */
function plain(value: unknown): unknown {
  if (value instanceof Map) return [...value].map(([key, item]) => [key, plain(item)]);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

/** The fields of a run's state that came with it. Returns a Refusal `wrong-state` for bytes that are not such a form. */
export function decodeMovedRun(
  bytes: Uint8Array,
): Pick<RunState, (typeof CARRIED)[number] | 'peers' | 'lineage'> | Refusal {
  let value: unknown;
  try {
    value = decode(bytes);
  } catch {
    return refuse('wrong-state', 'what the run takes along is not DAG-CBOR');
  }
  const parsed = MovedRunSchema.safeParse(value);
  if (!parsed.success) {
    const [{ path, message }] = parsed.error.issues;
    return refuse('wrong-state', `what the run takes along: ${path.join('.') || 'the whole'}: ${message}`);
  }
  const { form, peers, ...carried } = parsed.data;
  return { ...carried, peers: new Map(peers.map((peer) => [peer.id, absent(peer)])) };
}

const absent = (peer: MovedRun['peers'][number]): PeerState => ({
  ...peer,
  present: false,
  handed_in: false,
  openings: 0,
});

/** The hash by which a log names what a run takes along. */
export const hashOfMovedRun = (bytes: Uint8Array): string => sha256Hex(bytes);
