// GET /fleet: who serves what, as the hub has measured it; for people, whose page shows it. Nobody's prompt or answer is in it.
import { z } from 'zod';
import { count, hash, oneLine } from './schemas.ts';

export const FLEET_LIMIT_ROWS = 1000; // more rows than anybody reads; the busiest come first

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
  /** It was late and has said nothing since, did not keep to the form of answers, or was refused by judges. */
  doubted: z.boolean(),
});
export type FleetRow = z.infer<typeof FleetRowSchema>;

export const FleetSchema = z.strictObject({ devices: count, answers: count, rows: z.array(FleetRowSchema) });
export type Fleet = z.infer<typeof FleetSchema>;
