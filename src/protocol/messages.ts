// The messages from a hub to peers and observers over one WebSocket, and what they show: CBOR maps, each checked against its schema on arrival.
import { z } from 'zod';
import { decodeFrame } from './frames.ts';
import { NumbersSchema, ValuesSchema } from './measures.ts';
import { bytes, count, hash, role } from './schemas.ts';

/**
 * The version of this protocol: of the messages and of the events in them. Either side refuses messages and events that it does not know,
 * so the version rises with each change that the other side must know. A peer of another version is told so and disconnected.
 * 2: draws, appeals and contests; heads of the log in events. 3: rules that bound a first work, and views that say so. 4: a model's hash
 * is that of its manifest. 5: steps. 6: metrics in the game's words. 7: models in bf16 and f16. 8: amounts and numbers in the
 * game's words. 9: the pool that serves (serving-messages.ts). 10: offers say whether a device chats. 11: devices judge each other's answers.
 * 12: devices of a run talk to each other (relay-messages.ts); those that serve make vectors, sign claims and tell their energy; limits and
 * counts of judging are in the log. 13: runs whose model is cut into stages: work names its stage, views say who holds what. 14: validators
 * are told of their own draw, and of the round's work once its list is closed, as changes. 15: small blobs come with the event that needs them.
 * 16: several events in one message, answered together.
 */
export const PROTOCOL_VERSION = 16;

/** Says in words which side has the older version, and what that side can do about it. */
export function otherVersion(versions: { readonly hub: number; readonly peer: number }): string {
  const older =
    versions.hub < versions.peer
      ? 'the hub is older and has to be updated by whoever runs it'
      : 'the peer is older: update Potluck on this device, or load its page again';
  return `the hub speaks protocol ${versions.hub}, the peer speaks ${versions.peer}: ${older}`;
}

/** Limits of the wire, in one place, each with its reason. */
export const WIRE_LIMITS = {
  message_bytes: 1 << 20, // a hub's status with thousands of peers stays below 1 MiB
  from_peer_bytes: 75_000, // one event and one enclosed blob, plus 60 bytes of frame; several events have to fit as well
  enclosed_bytes: 8192, // a judge's evidence has a few thousand, and larger blobs are worth a request of their own
  events: 8, // of one message: the hub works on one message of a device before it hears the others
  from_peer_fields: 32, // entries of all lists and maps of a message; eight events with what they enclose have 26
  blob_bytes: 1 << 30, // a round's work of 60,000 workers on a small model, or of 200 on one of 300M parameters; models come in parts
  model_bytes: 4 * 2 ** 30, // a run's first model that one key may upload, in parts: a billion float32 parameters
  event_bytes: 65_535, // C2SP tlog-tiles: entries carry a 16-bit length
  roster: 4096, // workers of a run in stages; their ids and stages take a third of a message
  rounds_between_checkpoints: 1000, // at most this many merges between a checkpoint and the current model
} as const;

const text = z.string().max(2000);

/** What a peer needs to know about a run to take part. A peer need not believe any of it: everything can be checked by hash. */
export const RunViewSchema = z.object({
  run: hash,
  name: z.string().max(200),
  game: z.string().max(40),
  /** A blob with the game's file; missing for a built-in game, and where the run's owner did not publish the file. */
  game_file: hash.optional(),
  params: hash,
  phase: z.enum(['gathering', 'working', 'judging', 'revealing', 'merging', 'paused', 'finished']),
  round: count,
  rounds: count,
  attempt: count,
  seed: z.string().max(64),
  /** Time left of the open round (working) or of judging. It is a duration because peers' clocks need not agree with the hub's. */
  remaining_ms: count,
  /** How long judging may take after the work ends. */
  judging_ms: count,
  model: hash,
  /** The last model that is kept whole, and the merges since the one before it, oldest first. */
  checkpoint: z.object({ merged_rounds: count, model: hash, rest: hash.nullable() }),
  recent: z
    .array(z.object({ round: count, parent: hash, bundle: hash, step: hash.nullable(), model: hash }))
    .max(2 * WIRE_LIMITS.rounds_between_checkpoints),
  /** Who is present according to the log, and how many workers the next round waits for. */
  seats: z.object({ workers: count, workers_needed: count, validators: count }).optional(),
  submissions: z.array(
    z.object({
      id: hash,
      worker: hash,
      /** The runtime that the worker says it computes with. */
      runtime: z.string().max(40),
      /** How many submissions of the worker were merged since its last refused one. */
      consecutive_valid: count,
      /** How much the worker can still lose, in thousandths of such a submission. */
      bond_permille: count,
      work: hash,
      size_bytes: count,
      /** In the run's unit, and the numbers that its game names. */
      amount: count,
      numbers: ValuesSchema,
      /** In runs whose model is cut into stages: the stage that its worker had. */
      stage: count.optional(),
      /** Not all of its first judges accepted it, so everybody who may judge judges it again. */
      appealed: z.boolean(),
      /** The validators drawn to judge it, those who have committed (sealed) a verdict, and those who have revealed it. */
      judges: z.array(hash).max(256),
      sealed: z.array(hash).max(256),
      shown: z.array(hash).max(256),
    }),
  ),
  /** Contested decisions of earlier rounds: juries judge them again while rounds go on. */
  contests: z
    .array(
      z.object({
        submission: hash,
        round: count,
        /** The number of this contest among those of the submission; its verdicts carry it. */
        contest: count,
        /** Whether verdicts are revealed now; before that they are committed (sealed). */
        showing: z.boolean(),
        judges: z.array(hash).max(256),
        sealed: z.array(hash).max(256),
        shown: z.array(hash).max(256),
      }),
    )
    .max(64)
    .optional(),
  /** The input of the draw of judges; null while work is taken. */
  draw: z.string().max(64).nullable(),
  /** How often at least, in thousandths, a judge re-executes the work of a worker with the best record. */
  reexecute_permille: count,
  /** For a worker: whether its own work is in the last merge. */
  merged: z.boolean().optional(),
  /** In runs whose model is cut into stages: the one that a worker itself holds; missing until it has joined. */
  stage: count.optional(),
  /** In runs whose model is cut into stages: the workers that are here, each with its stage, and whether its last work was judged and merged. */
  roster: z
    .array(z.tuple([hash, count, z.boolean()]))
    .max(WIRE_LIMITS.roster)
    .optional(),
  /** For a worker that has little to lose yet: how much it may claim in the open round. */
  most_amount: count.optional(),
  /** How many submissions of a newcomer are re-executed by all of its judges. */
  probation: count,
  /** How much of what a verdict vouches for, in thousandths, depends on its judge's rating of the worker. */
  rating_permille: count.max(1000),
});
export type RunView = z.infer<typeof RunViewSchema>;

/** Why a peer cannot get on at the moment, as a code and a sentence. */
export const ObstacleSchema = z.object({ code: z.string().max(60), message: z.string().max(400) });
export type Obstacle = z.infer<typeof ObstacleSchema>;

/** What a worker reports about itself while it works. People see it; neither pay nor a deadline depends on it. `paused`: by its owner's rules. */
export const ProgressSchema = z.object({
  type: z.literal('progress'),
  state: z.enum(['waiting', 'catching up', 'working', 'sending', 'judging', 'evaluating', 'paused']),
  round: count,
  /** What is done of the round, in the run's unit, and the numbers that its game names for work; others may come with them. */
  amount: count,
  amount_per_second: z.number(),
  numbers: ValuesSchema,
  obstacle: ObstacleSchema.optional(),
});
export type Progress = z.infer<typeof ProgressSchema>;

const SAMPLE = { prompt: z.string().max(400), text: z.string().max(2000) };

/** Text that a model wrote on a validator. People see it with the validator's name; nothing proves it. */
export const SampleSchema = z.strictObject({ type: z.literal('sample'), model: hash, ...SAMPLE });
export type Sample = z.infer<typeof SampleSchema>;

/** A sample as people see it: who sent it, and after how many merges. */
export const SampleViewSchema = z.object({ run: hash, by: hash, model: hash, merged_rounds: count, ...SAMPLE });
export type SampleView = z.infer<typeof SampleViewSchema>;

/** One peer as people see it. */
export const PeerViewSchema = z.object({
  id: hash,
  name: z.string().max(200),
  role,
  runtime: z.string().max(40),
  present: z.boolean(),
  credit_amount: count,
  merged_submissions: count,
  refused_submissions: count,
  progress: ProgressSchema.omit({ type: true }).nullable(),
  bytes_up: count,
  bytes_down: count,
  /** In a run whose model is cut into stages, from 0: the one that a worker that is here holds. */
  stage: count.optional(),
});
export type PeerView = z.infer<typeof PeerViewSchema>;

/** A metric with what was measured of the first model and of the last one that was measured, in its unit; null: nobody has. */
const MetricViewSchema = z.object({
  ...{ name: z.string().max(40), words: z.string().max(40), unit: z.string().max(40) },
  better: z.enum(['lower', 'higher']),
  first: z.number().nullable(),
  last: z.number().nullable(),
});
export type MetricView = z.infer<typeof MetricViewSchema>;

/** A run as people see it. */
export const RunStatusSchema = RunViewSchema.omit({
  recent: true,
  submissions: true,
  contests: true,
  checkpoint: true,
  draw: true,
  reexecute_permille: true,
  most_amount: true,
  merged: true,
  probation: true,
  rating_permille: true,
  seats: true,
  roster: true,
  stage: true,
}).extend({
  owner: hash,
  /** Where the run goes on: another hub's log; and where it came to this log, and went. Missing: it is here. */
  moved: z.object({ hub: hash, url: text, entry: count, index: count }).optional(),
  /** The longest time that a round with its judging takes, and how many workers the first round waits for. */
  round_ms: count,
  min_workers: count,
  /** How many workers the next round waits for, and into how many stages the model is cut; missing: it is not. */
  workers_needed: count,
  stages: count.optional(),
  peers: z.array(PeerViewSchema),
  submitted: count,
  merged_amount: count,
  bytes_submitted: count,
  /** What the same submissions would be as dense float32, in bytes, for comparison. */
  dense_bytes: count,
  amount_per_second: z.number(),
  /** What its work is counted in, what its models are measured by, and which numbers come with work, in the game's words. */
  unit: z.string().max(40),
  numbers: NumbersSchema,
  metrics: z.array(MetricViewSchema).min(1).max(8),
  evaluated_rounds: count.nullable(),
  /** What keeps the run from going on, in words. */
  problem: text.nullable(),
});
export type RunStatus = z.infer<typeof RunStatusSchema>;

/** A run without its peers, because there may be thousands of them. */
export const RunOverviewSchema = RunStatusSchema.omit({ peers: true });
export type RunOverview = z.infer<typeof RunOverviewSchema>;

/** Points of a curve, column by column: rounds merged, time, work merged, bytes sent, and the value of the run's first metric, in its unit. */
export const SeriesSchema = z.object({
  merged_rounds: z.array(count),
  time_ms: z.array(count),
  amount: z.array(count),
  bytes: z.array(count),
  value: z.array(z.number().nullable()),
});
export type Series = z.infer<typeof SeriesSchema>;

/** One worker's work in one round, as the worker reported it. */
export const WorkerPointSchema = z.object({ merged_rounds: count, amount: count, numbers: ValuesSchema });
export type WorkerPoint = z.infer<typeof WorkerPointSchema>;

/** The course of a run: what validators measured, and what workers reported of their rounds. Thinned out where there is much of it. */
export const RunHistorySchema = z.object({ run: hash, evaluations: SeriesSchema, rounds: SeriesSchema });
export type RunHistory = z.infer<typeof RunHistorySchema>;

/** For observers that follow: all runs, and what is new of peers and history. `whole` starts over; further pieces may follow it. */
export const ChangesSchema = z.object({
  type: z.literal('changes'),
  whole: z.boolean(),
  now_ms: count,
  events: count,
  /** Empty in the further pieces. */
  runs: z.array(RunOverviewSchema),
  history: z.array(RunHistorySchema),
  samples: z.array(SampleViewSchema),
  peers: z.array(z.object({ run: hash, peers: z.array(PeerViewSchema) })),
});
export type Changes = z.infer<typeof ChangesSchema>;

/** The answer to hello. `session` is the peer's current one, or the one that its next `peer.joined` will open. */
export const WelcomeSchema = z.object({ type: z.literal('welcome'), present: z.boolean(), session: count });
export type Welcome = z.infer<typeof WelcomeSchema>;

/** An owner as the hub reports it over HTTP. A lie in it comes to light when the event built on it is refused. */
export const AccountViewSchema = z.object({
  hub: hash,
  account: z.string(),
  address: z.string().max(100).nullable(),
  /** The sequence number that the owner's next `account.address` must carry. */
  next_change: count,
  /** Its credit for answers and what it is owed, and the numbers of its next grant and payment; missing from an older hub. */
  money: z.object({ left_micro: count, owed_micro: count, next_grant: count, next_payment: count }).optional(),
  /** Why the hub would refuse another run of this owner now; null if it would not. */
  run_refusal: z
    .object({ code: z.string().max(60), message: text })
    .nullable()
    .optional(),
});
export type AccountView = z.infer<typeof AccountViewSchema>;

/** What an account holds of a run, as the hub reports it over HTTP. It is for people to look at; the log proves it. */
export const HolderViewSchema = z.object({
  run: hash,
  account: z.string().max(200),
  merged_rounds: count,
  /** The sum of free, withheld, locked and settled shares. */
  shares: count,
  withheld: count,
  /** The shares that all merged rounds have issued so far. */
  emitted: count,
});
export type HolderView = z.infer<typeof HolderViewSchema>;

/** What the log holds of one device's work in a run, as the hub reports it over HTTP. It is for its owner to look at; the log proves it. */
export const DeviceWorkSchema = z.object({
  hub: hash,
  run: hash,
  peer: hash,
  /** What the run's work is counted in. */
  unit: z.string().max(40),
  merged_rounds: count,
  /** Of all workers, and what the next round pays them together. */
  merged_units: count,
  worker_shares_per_round: count,
  /** What it earned in the last rounds, oldest first: units of its merged work (0 for a validator), and shares. */
  paid: z.array(z.object({ round: count, units: count, shares: count })).max(2000),
  /** Of what it had earned. */
  lost_shares: count,
});
export type DeviceWork = z.infer<typeof DeviceWorkSchema>;

/** What everybody hears. */
export const HubMessages = [
  z.object({ type: z.literal('challenge'), protocol: z.int(), hub: hash, nonce: bytes(32) }),
  WelcomeSchema,
  z.object({ type: z.literal('pong') }),
  /** `next`: not all peers fit, and who wants the others follows changes, or asks GET /status. */
  z.object({ type: z.literal('status'), runs: z.array(RunStatusSchema), next: count.nullable().optional() }),
  ChangesSchema,
  z.object({ type: z.literal('refused'), event: hash.nullable(), code: z.string().max(60), message: text }),
] as const;
const ForObserverSchema = z.discriminatedUnion('type', HubMessages);

/** Decodes a hub's message to an observer; what only peers get is in from-hub.ts. Throws ProtocolError: `too-large`, `malformed`. */
export function decodeForObserver(frame: Uint8Array): z.infer<typeof ForObserverSchema> {
  return decodeFrame(frame, ForObserverSchema, WIRE_LIMITS.message_bytes, Number.POSITIVE_INFINITY);
}

/** The bytes that a peer signs to prove that it holds its key, bound to this hub and this connection. */
export function helloChallenge(hub: string, nonce: Uint8Array): Uint8Array {
  const label = new TextEncoder().encode(`potluck-hello-v1\n${hub}\n`);
  const message = new Uint8Array(label.length + nonce.length);
  message.set(label);
  message.set(nonce, label.length);
  return message;
}

/** The bytes that a peer signs to upload a blob. The upload is content-addressed, so a replayed request does no harm. */
export function uploadChallenge(hub: string, blob: string): Uint8Array {
  return new TextEncoder().encode(`potluck-upload-v1\n${hub}\n${blob}\n`);
}
