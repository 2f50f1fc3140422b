// Letters between devices and owners on a hub: only those of devices that are bound leave anything, the newest counts, floods are slowed down,
// one owner's many keys push out only each other, and what is kept is sealed and forgotten in time.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Hono } from 'hono';
import type { Device } from '../core/state.ts';
import { CodedError } from '../errors.ts';
import { fromBase64 } from '../ledger/signed-note.ts';
import { systemClock } from '../protocol/clock.ts';
import {
  type DeviceReport,
  LETTER_LIMITS,
  openReportLetter,
  readReport,
  signQuestion,
  signReport,
  signSettings,
} from '../protocol/device-letters.ts';
import { createIdentity } from '../protocol/identity.ts';
import { answerTo } from './answers.ts';
import { posts } from './cluster/testing/posts.ts';
import { serveLetters } from './letter-routes.ts';
import { LETTER_STORE_LIMITS, type LettersOptions, openLetters } from './letters.ts';
import { openRateLimits } from './rate-limits.ts';

const HUB = createIdentity().id;
const REPORT: DeviceReport = {
  ...{ certificate: '', name: 'the laptop', version: '0.1.0', role: 'worker', run: null, do: 'pause' },
  ...{ reasons: [{ code: 'too-hot', message: 'it is 95 degrees hot' }], for_ms: 5, doing: null },
  ...{ speed: null, temperature_c: 95, settings: {}, accepts: true, taken: null, refused: null },
};

function desk(more: Partial<LettersOptions> = {}) {
  let now_ms = 1_800_000_000_000;
  const clock = { ...systemClock, now_ms: () => now_ms, elapsed_ms: () => now_ms };
  const devices = new Map<string, Device>();
  const rates = openRateLimits(clock, {
    letter_address: { burst: 60, per_second: 1 },
    letter_key: { burst: 20, per_second: 1 },
  });
  const letters = openLetters({ path: ':memory:', hub: HUB, state: { devices }, clock, rates, ...more });
  const bind = (device: string, owner: string): void =>
    void devices.set(device, { owner, expires_ms: Number.MAX_SAFE_INTEGER, revoked: false } as Device);
  const pass = (by_ms: number): void => {
    now_ms += by_ms;
  };
  return { letters, bind, devices, rates, pass, now_ms: () => now_ms };
}

const coded = (code: string) => (error: unknown) => error instanceof CodedError && error.code === code;
const settingsFor = (device: string, sequence: number) => ({ device, sequence, expires_ms: Number.MAX_SAFE_INTEGER });
const [owner, device, stranger] = [createIdentity(), createIdentity(), createIdentity()];

test("a report reaches its owner, who alone can read it, and the answer brings the owner's settings", async () => {
  const { letters, bind, now_ms } = desk();
  bind(device.id, owner.id);
  const first = letters.report(await signReport(device, owner.id, REPORT, 1));
  assert.deepEqual(first, { settings: null, again_ms: LETTER_STORE_LIMITS.again_ms });
  const settings = await signSettings(owner, settingsFor(device.id, 7), {
    settings: { on_battery: true },
    paused: false,
  });
  assert.deepEqual(letters.settings(settings), { sequence: 7 });
  const second = letters.report(await signReport(device, owner.id, REPORT, 2));
  assert.deepEqual(fromBase64(second.settings!), settings);
  const { devices } = letters.answer(await signQuestion(owner, HUB, now_ms()));
  assert.equal(devices.length, 1);
  const kept = openReportLetter(fromBase64(devices[0].report!.bytes)!);
  assert.deepEqual(readReport(owner, kept), REPORT);
  for (const reader of [device, stranger])
    assert.throws(() => readReport(reader, kept), coded('not-sealed-to-this-key'));
  assert.doesNotMatch(Buffer.from(kept.sealed).toString('latin1'), /laptop|hot|settings/);
  // Whoever else asks hears of no device.
  assert.deepEqual(letters.answer(await signQuestion(stranger, HUB, now_ms())).devices, []);
});

test('at a hub of several processes each has the letters of all, newer settings also where a message was lost', async () => {
  const { open, arrive, engine, errors } = posts(HUB);
  const [one, two] = [desk({ post: open() }), desk({ post: open() })];
  for (const { bind } of [one, two]) bind(device.id, owner.id);
  const want = (sequence: number) =>
    signSettings(owner, settingsFor(device.id, sequence), { settings: {}, paused: true });
  const report = async (at: typeof one, sequence: number): Promise<Uint8Array | null> => {
    const { settings } = at.letters.report(await signReport(device, owner.id, REPORT, sequence));
    arrive();
    return settings === null ? null : fromBase64(settings);
  };
  const first = await want(1);
  one.letters.settings(first);
  arrive();
  assert.deepEqual(await report(two, 1), first);
  const seen = async (at: typeof one) => {
    const [{ report: found }] = at.letters.answer(await signQuestion(owner, HUB, at.now_ms())).devices;
    return openReportLetter(fromBase64(found!.bytes)!).sequence;
  };
  assert.deepEqual([await seen(one), await seen(two)], [1, 1]);
  // What is lost on the bus comes when the device writes again.
  engine.weather.lost_permille = 1000;
  const second = await want(2);
  one.letters.settings(second);
  arrive();
  engine.weather.lost_permille = 0;
  assert.deepEqual(await report(two, 2), first);
  assert.deepEqual(await report(two, 3), second);
  // A process that does not know the device yet keeps nothing, and nothing is wrong.
  two.devices.clear();
  assert.deepEqual(await report(one, 4), second);
  two.bind(device.id, owner.id);
  assert.deepEqual([await seen(one), await seen(two), errors], [4, 3, []]);
});

test('a short report and a long one are of one length', async () => {
  const long = { ...REPORT, name: 'x'.repeat(80), reasons: [{ code: 'in-use', message: 'm'.repeat(300) }] };
  const sizes = await Promise.all(
    [REPORT, long].map(async (each) => (await signReport(device, owner.id, each, 1)).length),
  );
  assert.equal(sizes[0], sizes[1]);
});

test('refused: old and repeated letters, strangers, other owners, revoked devices, questions to others or of another hour', async () => {
  const { letters, bind, devices, now_ms } = desk();
  const one = await signReport(device, owner.id, REPORT, 5);
  assert.throws(() => letters.report(one), coded('not-bound'));
  bind(device.id, owner.id);
  letters.report(one);
  assert.throws(() => letters.report(one), coded('old-letter'));
  const older = await signReport(device, owner.id, REPORT, 4);
  assert.throws(
    () => letters.report(older),
    (error) => error instanceof CodedError && error.details.newest === 5,
  );
  const want = { settings: {}, paused: true };
  const stolen = await signSettings(stranger, settingsFor(device.id, 1), want);
  assert.throws(() => letters.settings(stolen), coded('not-bound'));
  const set = await signSettings(owner, settingsFor(device.id, 3), want);
  letters.settings(set);
  for (const sequence of [3, 2, 0]) {
    const again = await signSettings(owner, settingsFor(device.id, sequence), want);
    assert.throws(() => letters.settings(again), coded('old-letter'));
  }
  const questions = [
    await signQuestion(owner, stranger.id, now_ms()),
    await signQuestion(owner, HUB, now_ms() + LETTER_STORE_LIMITS.question_ms + 1),
    await signQuestion(owner, HUB, now_ms() - LETTER_STORE_LIMITS.question_ms - 1),
  ];
  for (const question of questions) assert.throws(() => letters.answer(question), coded('wrong-question'));
  const changed = Uint8Array.from(set);
  changed[changed.length - 1] ^= 1;
  assert.throws(() => letters.settings(changed), coded('bad-signature'));
  // One kind of letter is none of another kind.
  assert.throws(() => letters.report(set), coded('malformed'));
  assert.throws(() => letters.settings(one), coded('malformed'));
  assert.throws(() => letters.report(new Uint8Array(LETTER_LIMITS.bytes + 1)), coded('too-large'));
  devices.get(device.id)!.revoked = true;
  const late = await signReport(device, owner.id, REPORT, 6);
  assert.throws(() => letters.report(late), coded('not-bound'));
});

test('one owner with many keys pushes out its own letters, not those of others', async () => {
  const { letters, bind, pass, now_ms } = desk({ limits: { letters: 5 } });
  bind(device.id, owner.id);
  letters.report(await signReport(device, owner.id, REPORT, 1));
  const crowd = Array.from({ length: 8 }, createIdentity);
  for (const each of crowd) {
    bind(each.id, stranger.id);
    pass(10);
    letters.report(await signReport(each, stranger.id, REPORT, 1));
  }
  const kept = async (who: typeof owner) =>
    letters.answer(await signQuestion(who, HUB, now_ms())).devices.filter(({ report }) => report !== null);
  assert.equal((await kept(owner)).length, 1);
  assert.deepEqual(
    (await kept(stranger)).map((each) => each.device),
    crowd.slice(-4).map(({ id }) => id),
  );
});

test('reports are forgotten after a week; where many write, all write less often', async () => {
  const { letters, bind, pass, now_ms } = desk({ limits: { reports_per_second: 0.05 } });
  bind(device.id, owner.id);
  bind(stranger.id, owner.id);
  assert.equal(letters.report(await signReport(stranger, owner.id, REPORT, 1)).again_ms, 20_000);
  assert.equal(letters.report(await signReport(device, owner.id, REPORT, 1)).again_ms, 40_000);
  pass(LETTER_STORE_LIMITS.forgotten_ms + 1);
  letters.report(await signReport(device, owner.id, REPORT, 2));
  const { devices } = letters.answer(await signQuestion(owner, HUB, now_ms()));
  assert.deepEqual(
    devices.map(({ report }) => report !== null),
    [true, false],
  );
});

test('over HTTP: a flood from one address, and from one key, is told to wait; what has no or too great a length is refused', async () => {
  const { letters, bind, rates } = desk();
  bind(device.id, owner.id);
  const app = new Hono();
  app.use(async (c, next) => {
    c.set('asker', '203.0.113.5');
    await next();
  });
  app.onError((error, c) => {
    const { status, code } = answerTo(error);
    return c.json({ code }, status);
  });
  serveLetters(app, letters, rates, async () => {});
  const post = async (body: Uint8Array, headers: Record<string, string> = { 'content-length': String(body.length) }) =>
    app.request('/devices/reports', { method: 'POST', body: body as Uint8Array<ArrayBuffer>, headers });
  assert.equal((await post(await signReport(device, owner.id, REPORT, 1))).status, 200);
  assert.equal((await post(new Uint8Array(LETTER_LIMITS.bytes + 1))).status, 413);
  assert.equal((await post(new Uint8Array(9), {})).status, 411);
  assert.equal((await post(new Uint8Array(9))).status, 400);
  let key = 200;
  for (let i = 2; key === 200; i++) {
    key = (await post(await signReport(device, owner.id, REPORT, i))).status;
    assert.ok(i < 30);
  }
  assert.equal(key, 429);
  const flood = await Promise.all(Array.from({ length: 60 }, () => post(new Uint8Array(9))));
  assert.equal(flood.at(-1)!.status, 429);
});

test('letters outlive the hub; a file that is none is made anew', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'letters-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'letters.sqlite');
  const settings = await signSettings(owner, settingsFor(device.id, 1), { settings: {}, paused: true });
  const begin = () => {
    const begun = desk({ path });
    begun.bind(device.id, owner.id);
    return begun.letters;
  };
  const first = begin();
  first.settings(settings);
  first.close();
  assert.ok(readFileSync(path).length > 0);
  const second = begin();
  assert.deepEqual(fromBase64(second.report(await signReport(device, owner.id, REPORT, 1)).settings!), settings);
  second.close();
  writeFileSync(
    path,
    'no database at all, but longer than a header of SQLite, which has a hundred bytes and begins with its name',
  );
  const third = begin();
  assert.equal(third.report(await signReport(device, owner.id, REPORT, 1)).settings, null);
  third.close();
});
