// Keys and devices of one owner: bound once, carried off by nobody, moved by words, and never lost by being replaced.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { decodeEvent } from '../core/codec.ts';
import type { EventBody } from '../core/events.ts';
import { apply } from '../core/reduce.ts';
import { accountOf, initialState } from '../core/state.ts';
import { CodedError } from '../errors.ts';
import { bindDevice } from '../peer/device-binding.ts';
import { certificatesIn, readDeviceCertificate } from '../peer/device-certificates.ts';
import { signEvent } from '../protocol/envelope.ts';
import { createIdentity, generateSecret, type Identity, identityFromSecret } from '../protocol/identity.ts';
import { createIdentityFile, loadIdentity } from '../protocol/identity-file.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { devicesBelow, installKey } from './ownership.ts';
import { phraseOf, secretOfPhrase } from './ownership-phrase.ts';

const DAY_MS = 86_400_000;

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'potluck-ownership-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** A log as a hub keeps it: the core decides, and the refusal comes back as a peer sees it. */
function logOf(hub: Identity) {
  const state = initialState(hub.id);
  let events = 0;
  return {
    state,
    events: () => events,
    async tick(time_ms: number) {
      assert.equal(apply(state, decodeEvent(await signEvent(hub, { type: 'tick', version: 1, time_ms }))), null);
    },
    as: (device: Identity) => async (body: EventBody) => {
      const refusal = apply(state, decodeEvent(await signEvent(device, body)));
      if (refusal) throw new PeerError('refused', refusal.message, { refusal: refusal.code });
      events++;
    },
  };
}

const code = (wanted: string) => (error: unknown) => error instanceof CodedError && error.code === wanted;

test('a device is bound at its first join and not again, until its certificate runs out', async (t) => {
  const [hub, owner, device] = [createIdentity(), createIdentity(), createIdentity()];
  const log = logOf(hub);
  const dir = folder(t);
  const options = { owner, device: device.id, hub: hub.id, certificates: certificatesIn(dir), submit: log.as(device) };
  assert.equal(await bindDevice({ ...options, now_ms: 0 }), true);
  assert.equal(accountOf(log.state, device.id), owner.id);
  for (const now_ms of [0, DAY_MS, 330 * DAY_MS]) assert.equal(await bindDevice({ ...options, now_ms }), false);
  assert.equal(log.events(), 1, 'joining again writes nothing');
  await log.tick(340 * DAY_MS);
  assert.equal(await bindDevice({ ...options, now_ms: 340 * DAY_MS }), true);
  assert.equal((await readDeviceCertificate(dir, device.id))?.expires_ms, (340 + 365) * DAY_MS);
});

test('a device whose clock is a year behind is not bound, and told by how much; one that has a certificate gets a new one', async (t) => {
  const [hub, owner, device] = [createIdentity(), createIdentity(), createIdentity()];
  const log = logOf(hub);
  await log.tick(1000 * DAY_MS);
  const options = {
    owner,
    device: device.id,
    hub: hub.id,
    certificates: certificatesIn(folder(t)),
    submit: log.as(device),
  };
  await assert.rejects(bindDevice({ ...options, now_ms: 100 * DAY_MS }), {
    code: 'wrong-clock',
    message:
      "this device's clock says 1970-04-11 00:00 UTC, the hub's log 1972-09-27 00:00, 900 days later: what its owner signs with this clock " +
      'has already expired, and nobody would earn anything; set the clock and join again',
  });
  assert.equal(accountOf(log.state, device.id), device.id, 'nothing was bound');
  assert.equal(await bindDevice({ ...options, now_ms: 1000 * DAY_MS }), true);
  await log.tick(1366 * DAY_MS);
  assert.equal(await bindDevice({ ...options, now_ms: 1300 * DAY_MS }), true, 'ended by the log, not by this clock');
  assert.equal(log.state.devices.get(device.id)?.expires_ms, (1300 + 365) * DAY_MS);
});

test('a device that earns for one person says so when another one claims it', async (t) => {
  const [hub, owner, thief, device] = [createIdentity(), createIdentity(), createIdentity(), createIdentity()];
  const log = logOf(hub);
  const options = {
    owner,
    device: device.id,
    hub: hub.id,
    certificates: certificatesIn(folder(t)),
    now_ms: 0,
    submit: log.as(device),
  };
  await bindDevice(options);
  await assert.rejects(bindDevice({ ...options, owner: thief }), code('bound-to-another'));
  assert.equal(accountOf(log.state, device.id), owner.id);
  assert.equal(await bindDevice(options), false, 'the certificate of its owner is still there');
});

test('a hub that refuses for another reason is heard, and a lost answer is made good', async (t) => {
  const [hub, owner, device] = [createIdentity(), createIdentity(), createIdentity()];
  const log = logOf(hub);
  const options = { owner, device: device.id, hub: hub.id, certificates: certificatesIn(folder(t)), now_ms: 0 };
  const busy = async () => {
    throw new PeerError('refused', 'not now', { refusal: 'closing' });
  };
  await assert.rejects(bindDevice({ ...options, submit: busy }), code('refused'));
  const lost = async (body: EventBody) => {
    await log.as(device)(body);
    throw new PeerError('disconnected', 'the answer was lost');
  };
  await assert.rejects(bindDevice({ ...options, submit: lost }), code('disconnected'));
  assert.equal(await bindDevice({ ...options, submit: log.as(device) }), false, 'the same bytes are sent again');
  assert.equal(log.events(), 1);
});

test('a certificate file that is damaged or of another device counts as none', async (t) => {
  const dir = folder(t);
  const [hub, owner, device] = [createIdentity(), createIdentity(), createIdentity()];
  assert.equal(await readDeviceCertificate(dir, device.id), null);
  const certificates = certificatesIn(dir);
  await bindDevice({ owner, device: device.id, hub: hub.id, certificates, now_ms: 0, submit: async () => {} });
  const file = join(dir, 'device.certificate');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(await readDeviceCertificate(dir, owner.id), null);
  const text = readFileSync(file, 'utf8');
  for (const wrong of ['', '{}', text.slice(0, -20), text.replace(/(certificate": ".{90})./, '$1*')]) {
    writeFileSync(file, wrong);
    assert.equal(await readDeviceCertificate(dir, device.id), null);
  }
});

test('the devices of a machine are found with their owners, whatever else lies there', async (t) => {
  const dir = folder(t);
  assert.deepEqual(await devicesBelow(join(dir, 'nowhere')), []);
  const secret = generateSecret();
  await createIdentityFile(join(dir, 'worker', 'identity.key'), secret);
  mkdirSync(join(dir, 'empty'));
  writeFileSync(join(dir, 'file'), '');
  const found = await devicesBelow(dir);
  assert.deepEqual(found, [{ device: identityFromSecret(secret).id, folder: join(dir, 'worker'), certificate: null }]);
});

test('a key is never overwritten: without force it stays, with force it is set aside', async (t) => {
  const dir = folder(t);
  const path = join(dir, 'owner.key');
  const [first, second] = [generateSecret(), generateSecret()];
  assert.equal((await installKey(path, first, false)).set_aside, null);
  assert.equal((await installKey(path, first, false)).set_aside, null, 'the same key is no conflict');
  await assert.rejects(installKey(path, second, false), code('key-exists'));
  assert.equal((await loadIdentity(path)).id, identityFromSecret(first).id);
  const { set_aside } = await installKey(path, second, true);
  assert.equal((await loadIdentity(path)).id, identityFromSecret(second).id);
  assert.equal((await loadIdentity(set_aside!)).id, identityFromSecret(first).id);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('a phrase is one key and a key one phrase; wrong words are refused without being repeated', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (secret) => {
      const words = phraseOf(secret);
      assert.equal(words.split(' ').length, 24);
      assert.deepEqual(secretOfPhrase(`  ${words.toUpperCase().replaceAll(' ', '\n ')}\n`), secret);
    }),
    { numRuns: 50 },
  );
  const zeros = `${'abandon '.repeat(23)}art`; // the vector of BIP-39 for 32 zero bytes
  assert.equal(phraseOf(new Uint8Array(32)), zeros);
  for (const wrong of [
    zeros.replace('art', 'abandon'),
    zeros.replace('art', 'secretword'),
    zeros.replace('abandon ', ''),
    '',
  ]) {
    assert.throws(
      () => secretOfPhrase(wrong),
      (error) => code('bad-phrase')(error) && !(error as Error).message.includes('secretword'),
    );
  }
});
