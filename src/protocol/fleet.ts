// GET /fleet: who serves what, as the hub has measured it; for people, whose page shows it. Nobody's prompt or answer is in it.
import { z } from 'zod';
import { count, hash, oneLine } from './schemas.ts';
import { energyPerToken, unpaidCode } from './serving-messages.ts';

export const FLEET_LIMIT_ROWS = 1000; // more rows than anybody reads; the busiest come first
/** What the pool did is told by so much time, for a day. */
export const HISTORY_BUCKET_MS = 600_000;
export const HISTORY_BUCKETS = 144;

const FleetRowSchema = z.strictObject({
  /** The device, by its key. */
  device: hash,
  model: hash,
  /** What callers call the model; null: it is no model of this hub any more. */
  name: z.string().nullable(),
  quantisation: z.string(),
  engine: oneLine(20),
  /** Whether it takes part in conversations, and calls tools in them; what a model is listed with is what one of its devices does. */
  chat: z.boolean(),
  tools: z.boolean(),
  region: oneLine(40).nullable(),
  /** Answers that it writes now, and how many more it would take. */
  writing: count,
  places: count,
  /** Measured, never what a device says; null: nothing yet. */
  tokens_per_second: z.number().nullable(),
  round_trip_ms: z.number(),
  /** Of its last hundred leases: how many there were, and how many ended well. */
  leases: count,
  well: count,
  /** Of what it wrote since the hub began: parts of answers on which judges have decided, and those that they refused. */
  judged: count,
  refused: count,
  /** In millionths of a credit for a million tokens. */
  price_in: count,
  price_out: count,
  /** Why it gets no requests, though it offers; null: it gets some. */
  unpaid: unpaidCode.nullable(),
  /** What a token takes there, as the device says; null: it does not. */
  energy: energyPerToken.nullable(),
  /** It was late and has said nothing since, did not keep to the form of answers, or was refused by judges. */
  doubted: z.boolean(),
});
export type FleetRow = z.infer<typeof FleetRowSchema>;

const perBucket = z.array(count).max(HISTORY_BUCKETS);
/** Oldest first, the last one is not over; fewer than a day's where the hub is younger. All of the same length. */
const PoolDaySchema = z.strictObject({
  tokens: perBucket,
  /** Answers that came whole, and requests that were refused for want of room. */
  answers: perBucket,
  no_room: perBucket,
  /** The most that waited for a device at one moment. */
  waiting: perBucket,
});
export type PoolDay = z.infer<typeof PoolDaySchema>;

export const FleetSchema = z.strictObject({
  devices: count,
  answers: count,
  rows: z.array(FleetRowSchema),
  day: PoolDaySchema,
});
export type Fleet = z.infer<typeof FleetSchema>;
