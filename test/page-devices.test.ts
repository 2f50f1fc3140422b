// The view of all devices in a real Chromium: the key of this browser's person reads what a device has told, and what is pressed reaches the device.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromBase64, toBase64 } from '../src/ledger/signed-note.ts';
import { sendEvent } from '../src/peer/send-event.ts';
import { type DeviceReport, openSettingsLetter, readSettings, signReport } from '../src/protocol/device-letters.ts';
import { signEvent } from '../src/protocol/envelope.ts';
import { createIdentity, generateSecret, identityFromSecret } from '../src/protocol/identity.ts';
import { checkAccessibility, checkWidths, pageBrowser, pageHub } from './page-browser.ts';
import { skip } from './tab-browser.ts';

const browser = skip ? null! : pageBrowser();
const YEAR_MS = 365 * 86_400_000;

test('devices are shown to their owner alone; one is paused, one setting set, and what cannot be is said', {
  skip,
}, async (t) => {
  const hub = await pageHub(t);
  const [secret, device] = [generateSecret(), createIdentity()];
  const owner = identityFromSecret(secret);
  const expires_ms = Date.now() + YEAR_MS;
  const certificate = await signEvent(owner, { type: 'device.certificate', version: 1, device: device.id, expires_ms });
  await sendEvent(hub, await signEvent(device, { type: 'device.bound', version: 1, certificate }));
  const report: DeviceReport = {
    ...{ certificate: toBase64(certificate), name: 'old laptop', version: '0.1.0', role: 'worker', run: null },
    ...{
      do: 'slow-down',
      reasons: [{ code: 'in-use', message: 'its owner used it 5 s ago' }],
      for_ms: 5,
      doing: 'working',
    },
    ...{
      speed: { amount_per_second: 1234, unit: 'tokens' },
      temperature_c: 61,
      settings: { cores_idle: 2 },
      accepts: true,
      taken: null,
      refused: null,
    },
  };
  let sequence = 0;
  /** What the device hears, having written. */
  const heard = async () => {
    const body = (await signReport(device, owner.id, report, ++sequence)) as Uint8Array<ArrayBuffer>;
    const { settings } = (await (await fetch(`${hub}/devices/reports`, { method: 'POST', body })).json()) as {
      settings: string | null;
    };
    return settings === null ? null : readSettings(device, openSettingsLetter(fromBase64(settings)!));
  };
  assert.equal(await heard(), null);

  const page = await browser.open(t);
  await page.goto(`${hub}/devices`);
  await page.getByText('This browser has no key of yours yet').waitFor();
  await checkAccessibility(page, 'all devices, without a key');
  await page.evaluate(
    async ([id, bytes]) => {
      const opened = await new Promise<IDBDatabase>((resolve) => {
        const opening = indexedDB.open('potluck');
        opening.onsuccess = () => resolve(opening.result);
      });
      const writing = opened.transaction('keys', 'readwrite');
      writing.objectStore('keys').put({ id, secret: Uint8Array.from(bytes as number[]) }, 'owner');
      await new Promise((resolve) => {
        writing.oncomplete = resolve;
      });
    },
    [owner.id, [...secret]] as const,
  );
  await page.reload();
  const row = page.getByRole('listitem').filter({ hasText: 'old laptop' });
  await row.getByText('working · 1.23k tokens/s · 61 °C').waitFor();
  await row.getByText('Its owner used it 5 s ago.').waitFor();
  await checkWidths(page, 'devices', [360, 1440]);
  await checkAccessibility(page, 'all devices');

  await page.getByRole('button', { name: 'Pause old laptop' }).press('Enter');
  await page.getByText('old laptop is to pause.').waitFor();
  assert.deepEqual(await heard(), { settings: {}, paused: true });
  const set = async (name: string, text: string): Promise<void> => {
    await page.getByLabel('Setting').selectOption(name);
    await page.getByRole('textbox').fill(text);
    await page.getByRole('textbox').press('Enter');
  };
  await set('hours', 'mon-fri 22:00-07:00');
  await page.getByText('Hours is set for old laptop.').waitFor();
  assert.deepEqual(await heard(), { settings: { hours: ['mon-fri 22:00-07:00'] }, paused: true });
  await set('cores_in_use', '4');
  await page.getByRole('alert').getByText('at most cores_idle, which is 2').waitFor();
  await page.getByRole('button', { name: 'Let all go on' }).click();
  await page.getByText('All devices may go on.').waitFor();
  assert.equal((await heard())!.paused, false);
});
