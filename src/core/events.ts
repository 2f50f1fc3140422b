// The events of the public log: everything that earns or costs somebody something, as versioned schemas.
import { z } from 'zod';
import { count, hash, permille, role } from '../protocol/schemas.ts';
import { CORE_LIMITS } from './limits.ts';
import { RulesSchema } from './rules.ts';

/**
 * Text that stands in lists and terminals: no control characters, no line breaks, none of the marks that turn the direction
 * of writing (Unicode TR 9), with which a name could pass for another or rewrite what stands around it.
 */
const oneLine = (max_characters: number) =>
  z
    .string()
    .min(1)
    .max(max_characters)
    .regex(
      /^[^\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$/u,
      'expected text without control characters and marks of direction',
    );
const name = oneLine(CORE_LIMITS.name_characters);
const micro = z.int().min(-CORE_LIMITS.score_micro).max(CORE_LIMITS.score_micro);
const time_ms = count;
const duration_ms = z.int().min(CORE_LIMITS.round_ms.min).max(CORE_LIMITS.round_ms.max);

const v1 = { version: z.literal(1) };

/**
 * A run of the same log whose model this one starts from: the last whose shares are stated. So many thousandths of each
 * round's shares flow to who held it; no later rule can change that.
 */
const AncestorSchema = z.strictObject({
  run: hash,
  merged_rounds: z.int().min(1),
  model: hash,
  royalty_permille: permille,
});

/**
 * A head of this log that the hub had signed for the author before, with the signature of the checkpoint (ledger/checkpoint.ts).
 * Whoever replays the log compares it with the log's own tree: a hub that shows two histories has to keep their authors apart for ever.
 */
export const SeenHeadSchema = z.strictObject({
  size: count,
  root: hash,
  signature: z.string().regex(/^[0-9a-f]{128}$/, 'expected 128 lower-case hexadecimal digits'),
});

/** By the run's owner. The event's id is the run's id. `params` and `model` name blobs: the game's settings and the first model. */
export const RunCreatedSchema = z.strictObject({
  type: z.literal('run.created'),
  ...v1,
  name,
  game: oneLine(40),
  params: hash,
  model: hash,
  rounds: z.int().min(1).max(CORE_LIMITS.rounds),
  round_ms: duration_ms,
  judging_ms: duration_ms,
  /** How many workers a round waits for before it opens (only before it opens). */
  min_workers: z.int().min(1).max(1000),
  /** A full copy of the model is kept every so many merged rounds. */
  checkpoint_every: z.int().min(1).max(1000),
  rules: RulesSchema,
  ancestor: AncestorSchema.optional(),
  /** Without it every blob is kept, and every model version can be computed again by anybody. */
  keep: z.literal('recent').optional(),
  created_ms: time_ms,
});

/**
 * By the run's owner. They name the attempt that they follow, and every pause begins another: nobody who reads the log
 * can use an old one again.
 */
const attemptOfRun = { run: hash, round: count, attempt: count };
/** Version 1 drops the open round. Version 2 ends its work: what is in, or comes within the grace, is judged and merged before. */
const dropsOrMerges = { version: z.literal([1, 2]) };
export const RunPausedSchema = z.strictObject({ type: z.literal('run.paused'), ...dropsOrMerges, ...attemptOfRun });
export const RunResumedSchema = z.strictObject({ type: z.literal('run.resumed'), ...v1, ...attemptOfRun });
/** By the same, for good: no round opens any more. What was merged stays as it is. By the hub, for a run that everybody has abandoned. */
export const RunEndedSchema = z.strictObject({ type: z.literal('run.ended'), ...dropsOrMerges, ...attemptOfRun });

/** By the hub, where the core allows it (rising-loss.ts): the run is paused until its owner resumes it. */
export const RunHaltedSchema = z.strictObject({
  type: z.literal('run.halted'),
  ...v1,
  ...attemptOfRun,
  reason: z.literal('loss-rises'),
});

/**
 * By the peer itself, at every connection that finds it absent. `session` counts its joins of this run from 0, or
 * from where those who were forgotten go on (core/forgetting.ts), here and in the leave that ends it: nobody who reads the log can use an old one again.
 */
export const PeerJoinedSchema = z.strictObject({
  type: z.literal('peer.joined'),
  ...v1,
  run: hash,
  session: count,
  role,
  name,
  runtime: oneLine(40),
  seen_head: SeenHeadSchema.optional(),
});

/** By the peer that leaves, or by the hub for a peer whose connection is gone. */
export const PeerLeftSchema = z.strictObject({
  type: z.literal('peer.left'),
  ...v1,
  run: hash,
  peer: hash,
  session: count,
  reason: z.enum(['goodbye', 'connection lost', 'hub restarted']),
});

/**
 * By a device: from now on what it earns belongs to its owner. `certificate` is a signed event of the owner's
 * (DeviceCertificateSchema), so that nobody can claim a device that did not agree, nor a device an owner who did not.
 */
export const DeviceBoundSchema = z.strictObject({
  type: z.literal('device.bound'),
  ...v1,
  certificate: z.custom<Uint8Array>(
    (value) => value instanceof Uint8Array && value.length <= 1024,
    'expected at most 1024 bytes',
  ),
});

/** By the owner: this key is no longer to be believed. What it earned stays earned. */
export const DeviceRevokedSchema = z.strictObject({ type: z.literal('device.revoked'), ...v1, device: hash });

/** What an owner signs for a device; it travels inside `device.bound` and is no event of the log by itself. */
export const DeviceCertificateSchema = z.strictObject({
  type: z.literal('device.certificate'),
  ...v1,
  device: hash,
  expires_ms: time_ms,
});

/** By the hub: the clock that deadlines are measured by. */
export const TickSchema = z.strictObject({ type: z.literal('tick'), ...v1, time_ms });

/** By the hub. `attempt` counts the times this round was opened; its seed follows from the log, not from the hub. */
export const RoundOpenedSchema = z.strictObject({
  type: z.literal('round.opened'),
  ...v1,
  run: hash,
  round: count,
  attempt: count,
});

/** By a worker: its work of one round, durably uploaded before. `base` is the model that it started from. */
export const WorkSubmittedSchema = z.strictObject({
  type: z.literal('work.submitted'),
  ...v1,
  run: hash,
  round: count,
  attempt: count,
  base: hash,
  work: hash,
  size_bytes: z.int().min(1),
  steps: z.int().min(1).max(1_000_000),
  tokens: z.int().min(1),
  loss_micro: micro,
  /** Any hash; that of a planted submission is opened later. */
  pledge: hash,
  /** When the worker heard that the round was open, by its own clock: audits hold the hub's ticks against it. */
  seen_ms: time_ms.optional(),
  seen_head: SeenHeadSchema.optional(),
});

/**
 * By the hub, when the work of a round is in: the list is closed, and judges are drawn from what its verifiable random function gives
 * for the round (panel.ts). `proof` is that of RFC 9381.
 */
export const RoundDrawnSchema = z.strictObject({
  type: z.literal('round.drawn'),
  ...v1,
  run: hash,
  round: count,
  attempt: count,
  proof: z.string().regex(/^[0-9a-f]{160}$/, 'expected 160 lower-case hexadecimal digits'),
});

/** Of a verdict on work that the first judges did not all accept, by the jury that judges it again (appeal.ts). */
const appeal = z.literal(true).optional();

/** Of a verdict on work that was decided in an earlier round, by the jury of a contest (contest.ts): its number. */
const contest = count.optional();

/**
 * By a validator that was drawn for this submission: the hash of its verdict (judging.ts, `sealOf`). Nobody can read it, so
 * nobody can copy it.
 */
export const VerdictSealedSchema = z.strictObject({
  type: z.literal('verdict.sealed'),
  ...v1,
  run: hash,
  submission: hash,
  appeal,
  contest,
  seal: hash,
  seen_head: SeenHeadSchema.optional(),
});

/**
 * By a validator, when all verdicts are sealed: what it found, with the numbers behind it. Losses are in millionths of a nat.
 * `weight` is how many of the submission's tokens it vouches for; `fraud` says that the work is not merely poor but made up;
 * `evidence` names a blob with the measurements.
 */
export const VerdictGivenSchema = z.strictObject({
  type: z.literal('verdict.given'),
  ...v1,
  run: hash,
  submission: hash,
  appeal,
  contest,
  salt: hash,
  accepted: z.boolean(),
  fraud: z.boolean(),
  code: oneLine(60),
  weight: count,
  score_micro: micro,
  loss_before_micro: micro,
  loss_after_micro: micro,
  evidence: hash,
});

/**
 * By who may judge, or by the worker of work that was called made up: what was decided about a submission in an earlier round was wrong.
 * `contest` counts those of this submission from 0, so that neither it nor a verdict that it leads to can be used again.
 */
export const VerdictContestedSchema = z.strictObject({
  type: z.literal('verdict.contested'),
  ...v1,
  run: hash,
  submission: hash,
  contest: count,
});

/**
 * By the run's owner, after the round: a submission of the round that was merged last was planted, and validators should
 * have known what to say of it. Its `pledge` was the hash of this (judging.ts, `pledgeOf`).
 */
export const PlantRevealedSchema = z.strictObject({
  type: z.literal('plant.revealed'),
  ...v1,
  run: hash,
  submission: hash,
  salt: hash,
  accepted: z.boolean(),
});

/** By the run's owner: other rules from a later round on. `proposal` counts them from 0, so that none can be used twice. */
export const RulesProposedSchema = z.strictObject({
  type: z.literal('rules.proposed'),
  ...v1,
  run: hash,
  proposal: count,
  from_round: count,
  rules: RulesSchema,
});

/** By a validator, once a model: the present model's loss on the held-out data. */
export const ModelEvaluatedSchema = z.strictObject({
  type: z.literal('model.evaluated'),
  ...v1,
  run: hash,
  merged_rounds: count,
  model: hash,
  loss_micro: micro,
  tokens: z.int().min(1),
});

/** By the hub: which work makes the next model. The core refuses any other list than the one that follows from the log. */
export const RoundMergedSchema = z.strictObject({
  type: z.literal('round.merged'),
  ...v1,
  run: hash,
  round: count,
  attempt: count,
  accepted: z.array(hash).max(CORE_LIMITS.peers_per_run),
  model: hash,
  /** The accepted work as one blob, null when nothing was accepted. */
  bundle: hash.nullable(),
  /** Whether `model` itself is kept as a blob. */
  checkpoint: z.boolean(),
});

/**
 * By the hub, once for every model that is kept whole, and for the last of a run that its owner has ended: who holds what, as the root of a Merkle tree (share-table.ts).
 * The core refuses any other statement than the true one, so a false one convicts the hub before every auditor.
 */
export const SharesStatedSchema = z.strictObject({
  type: z.literal('shares.stated'),
  ...v1,
  run: hash,
  merged_rounds: count,
  model: hash,
  /** How many rows the table has. */
  accounts: count,
  root: hash,
  /** The sums over all rows, and what nobody had earned. */
  shares: count,
  unearned_shares: count,
  tokens: count,
});

/**
 * By an owner: where what it holds may be settled on another ledger. The last one counts; nothing is ever guessed.
 * It names its hub and counts the owner's statements there from 0, so that an old address cannot be put in force again.
 */
export const AccountAddressSchema = z.strictObject({
  type: z.literal('account.address'),
  ...v1,
  hub: hash,
  change: count,
  chain: z.literal('evm'),
  address: z.string().regex(/^0x[0-9a-f]{40}$/, 'expected 0x and 40 lower-case hexadecimal digits'),
});

/**
 * By who holds shares of a run: so many of them, which nobody withholds, stand behind a validator that earns for it, from the
 * next opening of a round on. `change` counts the holder's locks and releases in this run from 0, so that none can be used again.
 */
export const StakeLockedSchema = z.strictObject({
  type: z.literal('stake.locked'),
  ...v1,
  run: hash,
  behind: hash,
  shares: z.int().min(1),
  change: count,
});

/** By the same: they count no more from the next opening of a round on, and are free after the notice of the rules. */
export const StakeReleasedSchema = StakeLockedSchema.extend({ type: z.literal('stake.released') });

/** How balances become a Merkle tree for a contract elsewhere (settlement.ts). */
export const SETTLEMENT_FORMATS = ['merkle-distributor', 'standard-merkle-tree'] as const;
export type SettlementFormat = (typeof SETTLEMENT_FORMATS)[number];

/**
 * By the run's owner: the free shares of all holders with an address, as they were in a log of `log_size` events and still are,
 * are paid out elsewhere. The core refuses any other root and total than the true ones. `settlement` counts them from 0.
 */
export const PayoutSettledSchema = z.strictObject({
  type: z.literal('payout.settled'),
  ...v1,
  run: hash,
  settlement: count,
  log_size: count,
  format: z.enum(SETTLEMENT_FORMATS),
  root: z.string().regex(/^0x[0-9a-f]{64}$/, 'expected 0x and 64 lower-case hexadecimal digits'),
  total: z.int().min(1),
  /** Where it was paid, in the owner's words; nobody checks it. */
  reference: oneLine(CORE_LIMITS.reference_characters).optional(),
});

export const EventBodySchema = z.discriminatedUnion('type', [
  RunCreatedSchema,
  RunPausedSchema,
  RunResumedSchema,
  RunEndedSchema,
  RunHaltedSchema,
  PeerJoinedSchema,
  PeerLeftSchema,
  DeviceBoundSchema,
  DeviceRevokedSchema,
  TickSchema,
  RoundOpenedSchema,
  WorkSubmittedSchema,
  RoundDrawnSchema,
  VerdictSealedSchema,
  VerdictGivenSchema,
  VerdictContestedSchema,
  PlantRevealedSchema,
  RulesProposedSchema,
  ModelEvaluatedSchema,
  RoundMergedSchema,
  SharesStatedSchema,
  AccountAddressSchema,
  StakeLockedSchema,
  StakeReleasedSchema,
  PayoutSettledSchema,
]);

export type EventBody = z.infer<typeof EventBodySchema>;
export type SeenHead = z.infer<typeof SeenHeadSchema>;
export type RunCreated = z.infer<typeof RunCreatedSchema>;
export type RunPaused = z.infer<typeof RunPausedSchema>;
export type RunResumed = z.infer<typeof RunResumedSchema>;
export type RunHalted = z.infer<typeof RunHaltedSchema>;
export type RunEnded = z.infer<typeof RunEndedSchema>;
export type PeerJoined = z.infer<typeof PeerJoinedSchema>;
export type PeerLeft = z.infer<typeof PeerLeftSchema>;
export type WorkSubmitted = z.infer<typeof WorkSubmittedSchema>;
export type RoundDrawn = z.infer<typeof RoundDrawnSchema>;
export type VerdictSealed = z.infer<typeof VerdictSealedSchema>;
export type VerdictContested = z.infer<typeof VerdictContestedSchema>;
export type PlantRevealed = z.infer<typeof PlantRevealedSchema>;
export type RulesProposed = z.infer<typeof RulesProposedSchema>;
export type VerdictGiven = z.infer<typeof VerdictGivenSchema>;
export type ModelEvaluated = z.infer<typeof ModelEvaluatedSchema>;
export type RoundMerged = z.infer<typeof RoundMergedSchema>;
export type SharesStated = z.infer<typeof SharesStatedSchema>;
export type AccountAddress = z.infer<typeof AccountAddressSchema>;
export type StakeLocked = z.infer<typeof StakeLockedSchema>;
export type StakeReleased = z.infer<typeof StakeReleasedSchema>;
export type PayoutSettled = z.infer<typeof PayoutSettledSchema>;
export type PeerRole = z.infer<typeof PeerJoinedSchema>['role'];

/** An event as it stands in the log: who signed it, and the hash of its bytes. */
export interface LoggedEvent {
  readonly id: string;
  readonly author: string;
  readonly body: EventBody;
}
