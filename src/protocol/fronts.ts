// The answer to GET /fronts: the processes of a hub that devices may connect to, so that each finds the nearest, and another when it dies.
import { z } from 'zod';

/** A device measures its way to each, so that a hub's word must not send thousands of devices to many places. */
export const MOST_FRONTS = 16;

export const FrontsSchema = z.object({
  fronts: z.array(z.object({ url: z.string().max(2000), region: z.string().max(100).nullable() })).max(MOST_FRONTS),
});
export type FrontAddress = z.infer<typeof FrontsSchema>['fronts'][number];
