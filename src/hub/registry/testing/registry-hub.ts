// A hub that names devices for others, with an owner who binds and revokes them there; for tests.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { EventBody } from '../../../core/events.ts';
import { signEvent } from '../../../protocol/envelope.ts';
import { createIdentity, type Identity } from '../../../protocol/identity.ts';
import { type Hub, openHub } from '../../hub.ts';

export interface RegistryHub {
  readonly registry: Hub;
  /** Gone when the test is over, as the hub is. */
  readonly folder: string;
  readonly ada: Identity;
  say(author: Identity, body: EventBody): Promise<void>;
  /** A device is Ada's from now on. */
  bind(device: Identity): Promise<void>;
}

export async function registryHub(t: TestContext): Promise<RegistryHub> {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-registry-'));
  const registry = await openHub({ folder: join(folder, 'registry'), host: '127.0.0.1', port: 0 });
  t.after(async () => {
    await registry.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const ada = createIdentity();
  const say = async (author: Identity, body: EventBody): Promise<void> => {
    const event = (await signEvent(author, { ...body })) as Uint8Array<ArrayBuffer>;
    assert.equal((await fetch(`${registry.url}/events`, { method: 'POST', body: event })).status, 201);
  };
  const bind = async (device: Identity): Promise<void> => {
    const body = { type: 'device.certificate', version: 1, device: device.id, expires_ms: 10 ** 13 } as const;
    await say(device, { type: 'device.bound', version: 1, certificate: await signEvent(ada, body) });
  };
  return { registry, folder, ada, say, bind };
}
