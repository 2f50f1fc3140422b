// An owner no longer vouches for a device.
import { z } from 'zod';
import { hash } from '../../protocol/schemas.ts';
import { applyDevice, refusalOfDevice } from '../devices.ts';
import { refusalOfDirect } from '../registry/registry-only.ts';
import { v1 } from './fields.ts';
import { networkEvent } from './kind.ts';

/** By the owner: this key is no longer to be believed. What it earned stays earned. */
export const DeviceRevokedSchema = z.strictObject({ type: z.literal('device.revoked'), ...v1, device: hash });
export type DeviceRevoked = z.infer<typeof DeviceRevokedSchema>;

export const deviceRevoked = networkEvent(DeviceRevokedSchema, {
  about: 'device',
  words: ({ device }, who, say) => `${who} no longer vouches for ${say.name(device)}`,
  refusalOf: (state, { author, body }) => refusalOfDirect(state) ?? refusalOfDevice(state, author, body),
  apply: (state, { author, body }) => applyDevice(state, author, body),
});
