// An owner's devices as a hub tells of them: what the hub invents, swaps or keeps back is not believed, and what is wanted survives a forgetful hub.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { CodedError } from '../errors.ts';
import { toBase64 } from '../ledger/signed-note.ts';
import {
  type DeviceReport,
  openSettingsLetter,
  readSettings,
  signReport,
  signSettings,
} from '../protocol/device-letters.ts';
import { signEvent } from '../protocol/envelope.ts';
import { createIdentity, type Identity } from '../protocol/identity.ts';
import { readDevices, want } from './devices.ts';

const [owner, device, other] = [createIdentity(), createIdentity(), createIdentity()];
const NOW_MS = 1_800_000_000_000;

const vouched = async (by: Identity, to: string): Promise<string> =>
  toBase64(await signEvent(by, { type: 'device.certificate', version: 1, device: to, expires_ms: NOW_MS * 2 }));
const reportOf = async (more: Partial<DeviceReport> = {}): Promise<DeviceReport> => ({
  ...{ certificate: await vouched(owner, device.id), name: 'laptop', version: '0.1.0', role: 'worker', run: null },
  ...{
    do: 'run',
    reasons: [],
    for_ms: 1,
    doing: 'working',
    speed: { amount_per_second: 5, unit: 'tokens' },
    temperature_c: null,
    settings: {},
  },
  ...{ accepts: true, taken: null, refused: null, ...more },
});
const told = (bytes: Uint8Array, received_ms = NOW_MS) => ({ received_ms, bytes: toBase64(bytes) });

/** A hub that says of the devices what the test wants it to say. */
async function hubThatSays(t: TestContext, devices: readonly object[]) {
  const got: Uint8Array[] = [];
  const server = createServer(async (request, response) => {
    const parts: Uint8Array[] = [];
    for await (const part of request) parts.push(part);
    if (request.url === '/devices/settings') got.push(Buffer.concat(parts));
    const account = { hub: other.id, account: owner.id, address: null, next_change: 0 };
    const answer = { hub: other.id, now_ms: NOW_MS, again_ms: 20_000, devices };
    response.end(JSON.stringify(request.url!.startsWith('/accounts/') ? account : answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close().closeAllConnections());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, got };
}

const listed = (report: object | null, settings: string | null = null) => ({
  ...{ device: device.id, revoked: false, expires_ms: NOW_MS * 2, report, settings },
});

test("a report is believed where the device has signed it and carries the owner's word for its key", async (t) => {
  const right = await signReport(device, owner.id, await reportOf(), 1);
  const stranger = await signReport(
    other,
    owner.id,
    await reportOf({ certificate: await vouched(other, other.id) }),
    1,
  );
  const swapped = await signReport(other, owner.id, await reportOf(), 1);
  const toAnother = await signReport(device, other.id, await reportOf(), 1);
  const { url } = await hubThatSays(
    t,
    [right, stranger, swapped, toAnother].map((bytes) => listed(told(bytes))),
  );
  const devices = await readDevices(url, owner);
  assert.deepEqual(
    devices.map(({ standing, report, problem }) => [standing, report?.name, problem === null]),
    [['works', 'laptop', true], ...Array.from({ length: 3 }, () => ['silent', undefined, false])],
  );
});

test('a device that has not written for a minute is off, and so is one that said goodbye', async (t) => {
  const goodbye = await signReport(device, owner.id, await reportOf({ do: 'ended' }), 1);
  const right = await signReport(device, owner.id, await reportOf(), 1);
  const { url } = await hubThatSays(t, [
    listed(told(goodbye)),
    listed(told(right, NOW_MS - 60_001)),
    listed(told(right, NOW_MS - 60_000)),
  ]);
  const standings = (await readDevices(url, owner)).map(({ standing }) => standing);
  assert.deepEqual(standings, ['off', 'off', 'works']);
});

test("what is wanted comes from the owner's own letter, or from what the device has taken where a hub has forgotten it", async (t) => {
  const to = { device: device.id, sequence: 7, expires_ms: NOW_MS * 2 };
  const mine = toBase64(await signSettings(owner, to, { settings: { on_battery: true }, paused: true }));
  const forged = toBase64(await signSettings(other, to, { settings: { on_battery: false }, paused: false }));
  const taken = { sequence: 6, settings: { hottest_c: 70 }, paused: false };
  const report = told(await signReport(device, owner.id, await reportOf({ taken, settings: taken.settings }), 1));
  const { url, got } = await hubThatSays(t, [listed(report, mine), listed(report, forged), listed(report)]);
  const [first, second, third] = await readDevices(url, owner);
  assert.deepEqual([first.wanted!.settings, first.taken], [{ on_battery: true }, false]);
  for (const each of [second, third]) assert.deepEqual([each.wanted!.settings, each.taken], [{ hottest_c: 70 }, true]);

  await want(url, owner, third, { settings: { on_battery: true }, paused: true });
  await want(url, owner, third, { settings: { hottest_c: undefined } });
  const [next, last] = got.map(openSettingsLetter);
  assert.ok(next.sequence >= Date.now() - 60_000);
  assert.deepEqual(readSettings(device, next), { settings: { hottest_c: 70, on_battery: true }, paused: true });
  assert.deepEqual(readSettings(owner, last), { settings: {}, paused: false });
  const refused = (code: string) => (error: unknown) => error instanceof CodedError && error.code === code;
  await assert.rejects(want(url, owner, third, { settings: { nonsense: 1 } }), refused('bad-device-settings'));
  await assert.rejects(want(url, owner, third, { settings: { hours: ['at night'] } }), refused('bad-device-settings'));
  assert.equal(got.length, 2);
});
