// Time goes on in the log.
import { z } from 'zod';
import { refuse } from '../refusal.ts';
import { applyTick } from '../rounds/deadlines.ts';
import { time_ms, v1 } from './fields.ts';
import { networkEvent } from './kind.ts';

/** By the hub: the clock that deadlines are measured by. */
export const TickSchema = z.strictObject({ type: z.literal('tick'), ...v1, time_ms });
export type Tick = z.infer<typeof TickSchema>;

export const tick = networkEvent(TickSchema, {
  by_hub: 'a tick is signed',
  about: 'clock',
  words: ({ time_ms }, _who, say) => `the hub's clock: ${say.time(time_ms)}`,
  refusalOf: (state, { body }) =>
    body.time_ms < state.time_ms
      ? refuse('clock-went-back', `expected a tick at or after ${state.time_ms}, got ${body.time_ms}`)
      : null,
  apply: (state, { body }) => applyTick(state, body.time_ms),
});
