// What one process that takes part says of itself to whoever asks on this machine: in its own file, in `potluck device` and in `potluck status`.
import { z } from 'zod';
import { REASONS } from '../peer/owner-policy/reasons.ts';
import { DeviceReportSchema, OwnerSettingsSchema } from '../protocol/device-letters.ts';

export const ReasonSchema = z.strictObject({
  code: z.enum(Object.keys(REASONS) as [keyof typeof REASONS]),
  message: z.string(),
});

/** A run that a process takes part in. */
export const RunHereSchema = z.object({
  url: z.string(),
  run: z.string(),
  name: z.string(),
  /** Its part of the time, as it was asked for, and what it had of all that was computed lately. */
  share: z.number(),
  had: z.number(),
});
export type RunHere = z.infer<typeof RunHereSchema>;

/** What a process tells of its work with one device's key: on which hub, in which folder, and what it is at. */
export const WorkHereSchema = z.object({
  url: z.string(),
  folder: z.string(),
  run: z.string().nullable(),
  doing: z.string().nullable(),
  speed: DeviceReportSchema.shape.speed,
  /** Its id, once it has joined. */
  peer: z.string().optional(),
  /** Work that the hub has just taken into its log: tokens, or whatever the run counts; a verdict counts one. */
  handed_in: z.object({ round: z.int().min(0), units: z.int().min(0) }).optional(),
  /** This device's work is over, while the process goes on with others. */
  over: z.boolean(),
});
export type WorkHere = z.infer<typeof WorkHereSchema>;

/** What one process that takes part says of itself. */
export const DeviceWorkerSchema = z.object({
  pid: z.int().min(1),
  url: z.string(),
  role: z.string(),
  do: z.enum(['run', 'slow-down', 'pause']),
  /** Part of the time that it may compute now, 0 in a pause. */
  duty: z.number(),
  reasons: z.array(ReasonSchema),
  /** Why its graphics processor rests; empty where it may work, or none is wanted. */
  gpu_reasons: z.array(ReasonSchema),
  since_ms: z.int(),
  runs: z.array(RunHereSchema).optional(),
  /** The folders of its devices that write to their owner. */
  folders: z.array(z.string()),
  /** What its owner's key has set or paused from elsewhere. */
  from_afar: OwnerSettingsSchema.nullable(),
});
export type DeviceWorker = z.infer<typeof DeviceWorkerSchema>;
