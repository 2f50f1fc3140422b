// What one process that takes part says of itself to whoever asks on this machine: in its own file, in `potluck device` and in `potluck status`.
import { z } from 'zod';
import { REASONS } from '../peer/owner-policy/reasons.ts';

export const ReasonSchema = z.strictObject({
  code: z.enum(Object.keys(REASONS) as [keyof typeof REASONS]),
  message: z.string(),
});

/** What one process that takes part says of itself. */
export const DeviceWorkerSchema = z.object({
  pid: z.int().min(1),
  url: z.string(),
  role: z.string(),
  do: z.enum(['run', 'slow-down', 'pause']),
  /** Part of the time that it may compute now, 0 in a pause. */
  duty: z.number(),
  reasons: z.array(ReasonSchema),
  since_ms: z.int(),
});
export type DeviceWorker = z.infer<typeof DeviceWorkerSchema>;
