// A device's certificate in its folder: its owner vouches for its key.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { openCertificate } from '../core/devices.ts';
import { fromBase64, toBase64 } from '../ledger/signed-note.ts';
import { PRIVATE_FILE } from '../protocol/private-files.ts';
import { hash } from '../protocol/schemas.ts';
import { writeWhole } from '../protocol/whole-file.ts';
import type { CertificateStore, KeptCertificate } from './device-binding.ts';

const CERTIFICATE_FILE = 'device.certificate';

const KeptSchema = z.strictObject({
  format: z.literal('potluck-device-certificate-v1'),
  hub: hash,
  certificate: z.base64().max(2048),
});

/** The certificate in a device's folder; null where there is none that is valid for this device. */
export async function readDeviceCertificate(folder: string, device: string): Promise<KeptCertificate | null> {
  const text = await readFile(join(folder, CERTIFICATE_FILE), 'utf8').catch(() => null);
  if (text === null) return null;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  const parsed = KeptSchema.safeParse(json);
  const bytes = parsed.success ? fromBase64(parsed.data.certificate) : null;
  if (!parsed.success || !bytes) return null;
  const opened = openCertificate(bytes, device);
  return 'code' in opened ? null : { hub: parsed.data.hub, ...opened, bytes };
}

/** The certificates of a device's folder, for bindDevice. */
export function certificatesIn(folder: string): CertificateStore {
  return {
    read: (device) => readDeviceCertificate(folder, device),
    keep: (hub, certificate) => keepCertificate(folder, hub, certificate),
  };
}

async function keepCertificate(folder: string, hub: string, certificate: Uint8Array): Promise<void> {
  const kept = { format: 'potluck-device-certificate-v1', hub, certificate: toBase64(certificate) };
  await writeWhole(join(folder, CERTIFICATE_FILE), `${JSON.stringify(kept, null, 2)}\n`, { mode: PRIVATE_FILE });
}
