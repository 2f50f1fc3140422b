// The certificate by which an owner vouches for a device, as a schema.
import { z } from 'zod';
import { hash } from '../../protocol/schemas.ts';
import { time_ms, v1 } from './fields.ts';

/** What an owner signs for a device; it travels inside `device.bound` and is no event of the log by itself. */
export const DeviceCertificateSchema = z.strictObject({
  type: z.literal('device.certificate'),
  ...v1,
  device: hash,
  expires_ms: time_ms,
});
