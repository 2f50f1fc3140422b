// A device begins to work for its owner.
import { z } from 'zod';
import { applyDevice, refusalOfDevice } from '../devices.ts';
import { refusalOfDirect } from '../registry/registry-only.ts';
import { fillStages } from '../rounds/stages.ts';
import { v1 } from './fields.ts';
import { networkEvent } from './kind.ts';

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
export type DeviceBound = z.infer<typeof DeviceBoundSchema>;

export const deviceBound = networkEvent(DeviceBoundSchema, {
  about: 'device',
  words: (_body, who) => `${who} now works for its owner`,
  refusalOf: (state, { author, body }) => refusalOfDirect(state) ?? refusalOfDevice(state, author, body),
  apply(state, { author, body }) {
    applyDevice(state, author, body);
    // As a device of its run's owner it may hold what nobody else may.
    for (const run of state.runs.values()) fillStages(state, run);
  },
});
