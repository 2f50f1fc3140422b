// What hub and peers say to each other over one WebSocket: CBOR maps, each checked against its schema on arrival.
import { Decoder, Encoder } from 'cbor-x';
import { z } from 'zod';
import { checkCborForm } from './cbor-form.ts';
import { ProtocolError } from './errors.ts';
import { count, hash, role } from './schemas.ts';

/**
 * The version of this protocol: of the messages, and of the events in them, which either side refuses where it does not know them. It rises
 * with each change that the other side must know. A peer of another version is told so and sent away.
 * 2: draws, appeals and contests; heads of the log in events. 3: rules that bound a first work, and views that say so. 4: a model's hash
 * is that of its manifest. 5: steps.
 */
export const PROTOCOL_VERSION = 5;

/** What is wrong where hub and peer are of different versions, in words: who is older, and what that side can do. */
export function otherVersion(versions: { readonly hub: number; readonly peer: number }): string {
  const older =
    versions.hub < versions.peer
      ? 'the hub is older, and whoever runs it has to update it'
      : 'the peer is older: update Potluck on this device, or load its page again';
  return `the hub speaks protocol ${versions.hub}, the peer speaks ${versions.peer}: ${older}`;
}

/** Limits of the wire, in one place, each with its reason. */
export const WIRE_LIMITS = {
  message_bytes: 1 << 20, // from a hub: a status with thousands of peers stays below 1 MiB
  from_peer_bytes: 70_000, // a peer sends nothing larger than one event, and its frame takes 40 bytes
  from_peer_fields: 32, // of all lists and maps in it together; the largest message of a peer has 12
  blob_bytes: 1 << 30, // a round's work of 60,000 workers on a small model, or of 200 on one of 300M parameters; models come in parts
  model_bytes: 4 * 2 ** 30, // what one key may bring of a run's first model, in parts: a billion float32 parameters
  event_bytes: 65_535, // C2SP tlog-tiles: entries carry a 16-bit length
  rounds_between_checkpoints: 1000, // the longest way from a checkpoint to the present model
} as const;

const bytes = (max: number) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length <= max, `expected at most ${max} bytes`);
const text = z.string().max(2000);

/** What a peer needs to know of a run to take part: nothing here is to be believed, everything can be checked by hash. */
export const RunViewSchema = z.object({
  run: hash,
  name: z.string().max(200),
  game: z.string().max(40),
  /** A blob with the game's file; missing where the game is of every build, or its owner has kept the file. */
  game_file: hash.optional(),
  params: hash,
  phase: z.enum(['gathering', 'working', 'judging', 'revealing', 'merging', 'paused', 'finished']),
  round: count,
  rounds: count,
  attempt: count,
  seed: z.string().max(64),
  /** Time left of the open round (working) or of judging; peers' clocks need not agree with the hub's. */
  remaining_ms: count,
  /** How long judging takes, from the end of the work. */
  judging_ms: count,
  model: hash,
  /** The last model that is kept whole, and the merges since the one before it, oldest first. */
  checkpoint: z.object({ merged_rounds: count, model: hash, rest: hash.nullable() }),
  recent: z
    .array(z.object({ round: count, parent: hash, bundle: hash, step: hash.nullable(), model: hash }))
    .max(2 * WIRE_LIMITS.rounds_between_checkpoints),
  /** Who is here, as far as the log knows, and how many workers the next round waits for. */
  seats: z.object({ workers: count, workers_needed: count, validators: count }).optional(),
  submissions: z.array(
    z.object({
      id: hash,
      worker: hash,
      /** What the worker says that it computes with. */
      runtime: z.string().max(40),
      /** The worker's merged submissions since the last one that was refused. */
      consecutive_valid: count,
      /** What it may still lose, in thousandths of such a submission. */
      bond_permille: count,
      work: hash,
      size_bytes: count,
      steps: count,
      tokens: count,
      loss_micro: z.int(),
      /** Its first judges did not all accept it: everybody who may judges it again. */
      appealed: z.boolean(),
      /** The validators who are to judge it, those who have sealed a verdict, and those who have shown it. */
      judges: z.array(hash).max(256),
      sealed: z.array(hash).max(256),
      shown: z.array(hash).max(256),
    }),
  ),
  /** Decisions of earlier rounds that are contested: juries judge them again beside the rounds. */
  contests: z
    .array(
      z.object({
        submission: hash,
        round: count,
        /** Its number among the contests of this submission, which verdicts carry. */
        contest: count,
        /** Whether verdicts are shown now; until then they are sealed. */
        showing: z.boolean(),
        judges: z.array(hash).max(256),
        sealed: z.array(hash).max(256),
        shown: z.array(hash).max(256),
      }),
    )
    .max(64)
    .optional(),
  /** What judges were drawn from; null while work is taken. */
  draw: z.string().max(64).nullable(),
  /** How often at least, in thousandths, a judge repeats the work of a worker with the best record. */
  reexecute_permille: count,
  /** To a worker: whether its own work is in the last merge. */
  merged: z.boolean().optional(),
  /** To a worker that has little to lose yet: how many tokens it may claim in the open round. */
  most_tokens: count.optional(),
  /** How many submissions of a newcomer all of its judges repeat. */
  probation: count,
  /** How much of what a verdict vouches for, in thousandths, follows its judge's rating of the worker. */
  rating_permille: count.max(1000),
});
export type RunView = z.infer<typeof RunViewSchema>;

/** Why a peer achieves nothing for now, in a word and a sentence. */
export const ObstacleSchema = z.object({ code: z.string().max(60), message: z.string().max(400) });
export type Obstacle = z.infer<typeof ObstacleSchema>;

/** What a worker says of itself while it works; shown to people, never paid by. */
export const ProgressSchema = z.object({
  type: z.literal('progress'),
  state: z.enum(['waiting', 'catching up', 'training', 'sending', 'judging', 'evaluating', 'leaving']),
  round: count,
  steps: count,
  loss: z.number(),
  tokens_per_second: z.number(),
  obstacle: ObstacleSchema.optional(),
});
export type Progress = z.infer<typeof ProgressSchema>;

const SAMPLE = { prompt: z.string().max(400), text: z.string().max(2000) };

/** What a validator lets a model write that it has measured: shown to people with its name, proven by nothing. */
export const SampleSchema = z.strictObject({ type: z.literal('sample'), model: hash, ...SAMPLE });
export type Sample = z.infer<typeof SampleSchema>;

/** A sample as people see it: by whom, and after how many merges. */
export const SampleViewSchema = z.object({ run: hash, by: hash, model: hash, merged_rounds: count, ...SAMPLE });
export type SampleView = z.infer<typeof SampleViewSchema>;

// What a peer sends is read strictly: a field that this version does not know is refused, not passed over.

/** From a peer or an observer (who needs no key). `signature` covers the hub's nonce. */
export const HelloSchema = z.strictObject({
  type: z.literal('hello'),
  protocol: z.int(),
  role: z.enum(['worker', 'validator', 'observer']),
  run: hash.optional(),
  peer: hash.optional(),
  signature: bytes(64).optional(),
  /** An observer that would rather have `changes` than a whole `status` every time. */
  changes: z.boolean().optional(),
  /** From a peer that was told `key-in-use`: it takes the place only when no other device with its key has it. */
  yields: z.boolean().optional(),
});

export const FromPeerSchema = z.discriminatedUnion('type', [
  HelloSchema,
  z.strictObject({ type: z.literal('event'), event: bytes(WIRE_LIMITS.event_bytes) }),
  z.strictObject({ ...ProgressSchema.shape, obstacle: z.strictObject(ObstacleSchema.shape).optional() }),
  SampleSchema,
  /** Whether the hub is there, asked by who cannot hear the WebSocket's own pings: a browser. */
  z.strictObject({ type: z.literal('ping') }),
]);
export type FromPeer = z.infer<typeof FromPeerSchema>;

/** One peer as people see it. */
export const PeerViewSchema = z.object({
  id: hash,
  name: z.string().max(200),
  role,
  runtime: z.string().max(40),
  present: z.boolean(),
  credit_tokens: count,
  merged_submissions: count,
  refused_submissions: count,
  progress: ProgressSchema.omit({ type: true }).nullable(),
  bytes_up: count,
  bytes_down: count,
});
export type PeerView = z.infer<typeof PeerViewSchema>;

/** A run as people see it. */
export const RunStatusSchema = RunViewSchema.omit({
  recent: true,
  submissions: true,
  contests: true,
  checkpoint: true,
  draw: true,
  reexecute_permille: true,
  most_tokens: true,
  merged: true,
  probation: true,
  rating_permille: true,
  seats: true,
}).extend({
  owner: hash,
  /** The longest time that a round and its judging take, and how many workers the first round waits for. */
  round_ms: count,
  min_workers: count,
  peers: z.array(PeerViewSchema),
  submitted: count,
  merged_tokens: count,
  bytes_submitted: count,
  /** Dense float32 bytes of the same submissions, for comparison. */
  dense_bytes: count,
  tokens_per_second: z.number(),
  validation_loss: z.number().nullable(),
  first_validation_loss: z.number().nullable(),
  evaluated_rounds: count.nullable(),
  /** What keeps the run from going on, in words. */
  problem: text.nullable(),
});
export type RunStatus = z.infer<typeof RunStatusSchema>;

/** A run without its peers, of whom there may be thousands. */
export const RunOverviewSchema = RunStatusSchema.omit({ peers: true });
export type RunOverview = z.infer<typeof RunOverviewSchema>;

/** Points of a curve, column by column: after so many merged rounds, at that time, with so many tokens merged and bytes sent. */
export const SeriesSchema = z.object({
  merged_rounds: z.array(count),
  time_ms: z.array(count),
  tokens: z.array(count),
  bytes: z.array(count),
  loss_micro: z.array(z.int().nullable()),
});
export type Series = z.infer<typeof SeriesSchema>;

/** One round's work of one worker, as it said itself: after so many merged rounds, so many steps and tokens. */
export const WorkerPointSchema = z.object({ merged_rounds: count, steps: count, tokens: count, loss_micro: z.int() });
export type WorkerPoint = z.infer<typeof WorkerPointSchema>;

/** How a run went: what validators measured, and what workers said of their own rounds. Thinned out where there is much of it. */
export const RunHistorySchema = z.object({ run: hash, evaluations: SeriesSchema, rounds: SeriesSchema });
export type RunHistory = z.infer<typeof RunHistorySchema>;

/** For observers that follow: all runs, and of peers and history what is new. `whole` begins anew; pieces may follow it. */
export const ChangesSchema = z.object({
  type: z.literal('changes'),
  whole: z.boolean(),
  now_ms: count,
  events: count,
  /** Empty in the pieces that follow. */
  runs: z.array(RunOverviewSchema),
  history: z.array(RunHistorySchema),
  samples: z.array(SampleViewSchema),
  peers: z.array(z.object({ run: hash, peers: z.array(PeerViewSchema) })),
});
export type Changes = z.infer<typeof ChangesSchema>;

/** To who said hello. `session` is the one that the peer is in, or that its next `peer.joined` will open. */
export const WelcomeSchema = z.object({ type: z.literal('welcome'), present: z.boolean(), session: count });
export type Welcome = z.infer<typeof WelcomeSchema>;

/** An owner as a hub knows it, over HTTP. A lie in it is found out when the event that is built on it is refused. */
export const AccountViewSchema = z.object({
  hub: hash,
  account: z.string(),
  address: z.string().max(100).nullable(),
  /** The number that the owner's next statement of an address must carry. */
  next_change: count,
  /** Why another run of this owner would not be taken now; null: it would. */
  run_refusal: z
    .object({ code: z.string().max(60), message: text })
    .nullable()
    .optional(),
});
export type AccountView = z.infer<typeof AccountViewSchema>;

/** What an account holds of a run as the hub counts it, over HTTP: for people to look at. The log proves it. */
export const HolderViewSchema = z.object({
  run: hash,
  account: z.string().max(200),
  merged_rounds: count,
  /** The sum of what is free, withheld, locked and settled. */
  shares: count,
  withheld: count,
  /** What the merged rounds have promised to all. */
  emitted: count,
});
export type HolderView = z.infer<typeof HolderViewSchema>;

export const FromHubSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('challenge'), protocol: z.int(), hub: hash, nonce: bytes(32) }),
  WelcomeSchema,
  z.object({ type: z.literal('pong') }),
  z.object({ type: z.literal('run'), view: RunViewSchema }),
  z.object({ type: z.literal('status'), runs: z.array(RunStatusSchema) }),
  ChangesSchema,
  /** `receipt` proves that the event is in the log; ledger/receipt.ts checks it. */
  z.object({ type: z.literal('accepted'), event: hash, receipt: z.unknown() }),
  z.object({ type: z.literal('refused'), event: hash.nullable(), code: z.string().max(60), message: text }),
]);
export type FromHub = z.infer<typeof FromHubSchema>;

// Plain CBOR maps: checkCborForm refuses what the decoder could be made to build beyond data.
const encoder = new Encoder({ useRecords: false, mapsAsObjects: true, tagUint8Array: false });
const decoder = new Decoder({ useRecords: false, mapsAsObjects: true });

/** A message as the bytes of one WebSocket frame. */
export function encodeMessage(message: FromPeer | FromHub): Uint8Array {
  return new Uint8Array(encoder.encode(message));
}

/** Reads what a peer sent. Throws ProtocolError: too-large, malformed. */
export function decodeFromPeer(frame: Uint8Array): FromPeer {
  return decodeMessage(frame, FromPeerSchema, WIRE_LIMITS.from_peer_bytes, WIRE_LIMITS.from_peer_fields);
}

/** Reads what a hub sent. Throws ProtocolError: too-large, malformed. */
export function decodeFromHub(frame: Uint8Array): FromHub {
  return decodeMessage(frame, FromHubSchema, WIRE_LIMITS.message_bytes, Number.POSITIVE_INFINITY);
}

function decodeMessage<T>(frame: Uint8Array, schema: z.ZodType<T>, most_bytes: number, most_items: number): T {
  if (frame.length > most_bytes) {
    throw new ProtocolError('too-large', `message: at most ${most_bytes} bytes, got ${frame.length}`);
  }
  checkCborForm(frame, most_items);
  let value: unknown;
  try {
    value = decoder.decode(frame);
  } catch {
    throw new ProtocolError('malformed', `message: expected one CBOR map, got ${frame.length} bytes that are none`);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new ProtocolError('malformed', `message: ${issue.path.join('.') || 'body'}: ${issue.message}`);
}

/** The bytes a peer signs to prove that the key is its own, bound to this hub and this connection. */
export function helloChallenge(hub: string, nonce: Uint8Array): Uint8Array {
  const label = new TextEncoder().encode(`potluck-hello-v1\n${hub}\n`);
  const message = new Uint8Array(label.length + nonce.length);
  message.set(label);
  message.set(nonce, label.length);
  return message;
}

/** The bytes a peer signs to upload a blob: content-addressed, so a repeated request does no harm. */
export function uploadChallenge(hub: string, blob: string): Uint8Array {
  return new TextEncoder().encode(`potluck-upload-v1\n${hub}\n${blob}\n`);
}
