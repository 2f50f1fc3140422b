// Settings from elsewhere: taken from the device's owner alone, for this device alone, each newer than the last; anything else is one sentence.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError } from '../../errors.ts';
import { type OwnerSettings, signReport, signSettings } from '../../protocol/device-letters.ts';
import { createIdentity, type Identity } from '../../protocol/identity.ts';
import { openSettingsFromAfar } from './settings-from-afar.ts';

const [owner, device, other] = [createIdentity(), createIdentity(), createIdentity()];
const AT = { local: { cores_idle: 2 }, before: 4, now_ms: 1000 };
const letter = (settings: OwnerSettings['settings'], to: object = {}, by: Identity = owner) =>
  signSettings(by, { device: device.id, sequence: 5, expires_ms: 1001, ...to }, { settings, paused: false });

test('a letter of the owner, for this device, newer than the last one, is taken', async () => {
  const taken = openSettingsFromAfar(await letter({ hours: ['mon-fri 22:00-07:00'] }), device, owner.id, AT);
  assert.deepEqual(taken, {
    sequence: 5,
    expires_ms: 1001,
    settings: { hours: ['mon-fri 22:00-07:00'] },
    paused: false,
  });
});

const REFUSED: Record<string, [bytes: () => Promise<Uint8Array>, code: string, says: RegExp]> = {
  "another owner's": [() => letter({}, {}, other), 'wrong-sender', /expected settings from its owner/],
  'one for another device': [() => letter({}, { device: other.id }), 'wrong-sender', /expected settings for/],
  'the same again': [() => letter({}, { sequence: 4 }), 'not-newer', /newer than number 4, got number 4/],
  'an older one': [() => letter({}, { sequence: 3 }), 'not-newer', /got number 3/],
  'one that has ended': [() => letter({}, { expires_ms: 1000 }), 'expired', /ended at 1000/],
  'an unknown name': [
    () => letter({ on_batery: true }),
    'bad-device-settings',
    /on_batery: expected the name of a setting/,
  ],
  'what only the machine may set': [
    () => letter({ accept_remote_settings: true }),
    'bad-device-settings',
    /at the machine itself/,
  ],
  'another hub': [
    () => letter({ runs: [{ hub: 'http://x.example' }] }),
    'bad-device-settings',
    /runs: .*at the machine itself/,
  ],
  'a wrong value': [() => letter({ hottest_c: 900 }), 'bad-device-settings', /hottest_c/],
  'what contradicts the machine': [
    () => letter({ cores_in_use: 4 }),
    'bad-device-settings',
    /at most cores_idle, which is 2/,
  ],
  'a changed byte': [
    async () => {
      const bytes = await letter({});
      bytes[bytes.length - 70] ^= 1;
      return bytes;
    },
    'bad-signature',
    /signature/,
  ],
  "a device's report": [
    () => signReport(device, owner.id, { name: 'x' } as Parameters<typeof signReport>[2], 9),
    'malformed',
    /device\.report/,
  ],
  nothing: [async () => new Uint8Array(), 'malformed', /event/],
};
for (const [what, [bytes, code, says]] of Object.entries(REFUSED)) {
  test(`refused: ${what}`, async () => {
    const got = await bytes();
    assert.throws(
      () => openSettingsFromAfar(got, device, owner.id, AT),
      (error) =>
        error instanceof CodedError && error.code === code && says.test(error.message) && !error.message.includes('\n'),
    );
  });
}
