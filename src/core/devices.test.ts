// Devices of one owner: bound only with both signatures, paid to the owner, worthless after revocation or expiry.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signEvent } from '../protocol/envelope.ts';
import { createIdentity, type Identity } from '../protocol/identity.ts';
import { decodeEvent } from './codec.ts';
import type { EventBody } from './events.ts';
import { accountOf, initialState, type NetworkState } from './state.ts';
import { stateHash } from './state-bytes.ts';
import { apply } from './testing/checked-apply.ts';

const hub = createIdentity();
const owner = createIdentity();
const device = createIdentity();

/** Signs for real: certificates are checked by the core itself. */
async function happen(state: NetworkState, author: Identity, body: EventBody): Promise<string | null> {
  const before = stateHash(state);
  const refusal = apply(state, decodeEvent(await signEvent(author, body)));
  if (refusal) assert.equal(stateHash(state), before);
  return refusal?.code ?? null;
}

async function certificate(by: Identity, forDevice: string, expires_ms: number): Promise<EventBody> {
  const bytes = await signEvent(by, { type: 'device.certificate', version: 1, device: forDevice, expires_ms });
  return { type: 'device.bound', version: 1, certificate: bytes };
}

const tick = (time_ms: number): EventBody => ({ type: 'tick', version: 1, time_ms });

test('a device is bound by a certificate of its owner, sent by itself, and earns for the owner', async () => {
  const state = initialState(hub.id);
  assert.equal(accountOf(state, device.id), device.id);
  assert.equal(await happen(state, device, await certificate(owner, device.id, 1000)), null);
  assert.equal(accountOf(state, device.id), owner.id);
});

test('nobody claims a device that did not agree, nor binds it twice, nor carries it off', async () => {
  const state = initialState(hub.id);
  const thief = createIdentity();
  assert.equal(await happen(state, thief, await certificate(thief, device.id, 1000)), 'bad-certificate');
  assert.equal(await happen(state, device, await certificate(owner, thief.id, 1000)), 'bad-certificate');
  assert.equal(await happen(state, device, await certificate(device, device.id, 1000)), 'bad-certificate');
  assert.equal(await happen(state, device, await certificate(owner, device.id, 1000)), null);
  assert.equal(await happen(state, device, await certificate(owner, device.id, 1000)), 'already-bound');
  assert.equal(await happen(state, device, await certificate(thief, device.id, 9000)), 'already-bound');
  assert.equal(
    await happen(state, device, await certificate(owner, device.id, 2000)),
    null,
    'a longer one of the same owner',
  );
  assert.equal(accountOf(state, device.id), owner.id);
});

test('nobody earns for somebody who earns for another', async () => {
  const state = initialState(hub.id);
  const boss = createIdentity();
  assert.equal(await happen(state, device, await certificate(owner, device.id, 1000)), null);
  assert.equal(await happen(state, owner, await certificate(boss, owner.id, 1000)), 'bad-certificate');
  assert.equal(await happen(state, boss, await certificate(device, boss.id, 1000)), 'bad-certificate');
  const second = createIdentity();
  assert.equal(await happen(state, second, await certificate(owner, second.id, 1000)), null);
  assert.equal(await happen(state, second, await certificate(owner, second.id, 2000)), null);
  assert.deepEqual([...state.owners], [[owner.id, 2]]);
});

test('a certificate whose bytes were touched, or that is no certificate, is refused', async () => {
  const state = initialState(hub.id);
  const bound = (await certificate(owner, device.id, 1000)) as Extract<EventBody, { type: 'device.bound' }>;
  for (let at = 0; at < bound.certificate.length; at += 7) {
    const touched = bound.certificate.slice();
    touched[at] ^= 1;
    assert.equal(await happen(state, device, { ...bound, certificate: touched }), 'bad-certificate');
  }
  const other = await signEvent(owner, tick(5));
  assert.equal(await happen(state, device, { ...bound, certificate: other }), 'bad-certificate');
});

test('after revocation or expiry a key can do nothing, and what it earned stays the owner’s', async () => {
  const state = initialState(hub.id);
  await happen(state, device, await certificate(owner, device.id, 1000));
  const revoke: EventBody = { type: 'device.revoked', version: 1, device: device.id };
  assert.equal(await happen(state, createIdentity(), revoke), 'not-the-owner');
  assert.equal(await happen(state, owner, revoke), null);
  assert.equal(await happen(state, owner, revoke), 'device-revoked');
  const where = { run: 'a'.repeat(64), peer: device.id, session: 0 };
  const leave: EventBody = { type: 'peer.left', version: 1, ...where, reason: 'goodbye' };
  assert.equal(await happen(state, device, leave), 'device-revoked');
  assert.equal(await happen(state, device, await certificate(owner, device.id, 9000)), 'device-revoked');
  assert.equal(accountOf(state, device.id), owner.id);

  const second = createIdentity();
  await happen(state, second, await certificate(owner, second.id, 1000));
  await happen(state, hub, tick(1000));
  assert.equal(await happen(state, second, { ...leave, peer: second.id }), 'device-expired');
  assert.equal(await happen(state, createIdentity(), await certificate(owner, second.id, 500)), 'bad-certificate');
  // A newer certificate puts the device back to work; an old one, or another owner's, does not.
  assert.equal(await happen(state, second, await certificate(owner, second.id, 1000)), 'device-expired');
  assert.equal(await happen(state, second, await certificate(createIdentity(), second.id, 3000)), 'already-bound');
  assert.equal(await happen(state, second, await certificate(owner, second.id, 3000)), null);
  assert.equal(await happen(state, second, { ...leave, peer: second.id }), 'unknown-run');
});
