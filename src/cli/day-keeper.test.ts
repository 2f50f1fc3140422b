// A keeper's counts of a day: what was done, taken and earned is in a signed receipt, whatever ends the process in between.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Decision } from '../peer/owner-policy/decide.ts';
import { readDeviceSettings } from '../peer/owner-policy/settings.ts';
import type { Clock } from '../protocol/clock.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import type { DeviceWork } from '../protocol/messages.ts';
import { handClock } from '../protocol/testing/hand-clock.ts';
import { readBook, readReceipts } from './day-files.ts';
import { type DayKeeper, type DayKeeperOptions, openDayKeeper } from './day-keeper.ts';

const RUN = 'a'.repeat(64);
const HUB = 'b'.repeat(64);
const HOUR_MS = 3_600_000;
const TARIFF = [
  { hours: ['22:00-06:00'], price_per_kwh: 0.2 },
  { hours: ['06:00-22:00'], price_per_kwh: 0.4 },
];
const SETTINGS = {
  ...{ time_zone: 'Europe/Berlin', currency: 'EUR', tariff: TARIFF, value_per_share: 0.001, wear_per_hour: 0.01 },
  ...{ watts_idle: 20, watts_busy: 120 },
};
const decision = (what: Decision['do'], code?: 'in-use'): Decision =>
  ({ do: what, reasons: code ? [{ code, message: 'its owner uses it' }] : [] }) as unknown as Decision;

/** A device of two cores, one of which works for Potluck whenever it may. */
async function deviceIn(t: TestContext, begins: string, set: object = SETTINGS, known: string | null = null) {
  const folder = known ?? mkdtempSync(join(tmpdir(), 'potluck-days-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { id: peer } = await loadOrCreateIdentity(join(folder, 'identity.key'));
  const clock = handClock(Date.parse(begins));
  const world = {
    works: false,
    own_ms: 0,
    told: {
      merged_rounds: 3,
      merged_units: 3000,
      worker_shares_per_round: 100,
      paid: [],
      lost_shares: 0,
    } as Partial<DeviceWork>,
    problems: [] as string[],
  };
  let read_ms = clock.elapsed_ms();
  const options: DayKeeperOptions = {
    ...{ clock: clock as Clock, part: 0.5, settings: () => readDeviceSettings(set), gpuPart: () => 0 },
    cpuTimes() {
      const passed_ms = clock.elapsed_ms() - read_ms;
      read_ms = clock.elapsed_ms();
      if (world.works) world.own_ms += passed_ms;
      return { busy_ms: world.own_ms, all_ms: 2 * clock.elapsed_ms(), own_ms: world.own_ms };
    },
    power: async () => [],
    ask: async ({ run }) => ({ hub: HUB, run, peer, unit: 'tokens', ...world.told }) as DeviceWork,
    onProblem: (message) => world.problems.push(message),
  };
  const work = (handed_in?: { round: number; units: number }) => ({
    ...{ url: 'http://hub', folder, run: RUN, peer, doing: null, speed: null, over: false },
    ...(handed_in && { handed_in }),
  });
  /** Time passes, step by step: what is written to the disk takes none of it. */
  const pass = async (duration_ms: number, days: DayKeeper): Promise<void> => {
    for (let passed_ms = 0; passed_ms < duration_ms; passed_ms += 10_000) {
      clock.move(10_000);
      await days.settled();
    }
  };
  return { folder, peer, pass, world, work, open: () => openDayKeeper(options) };
}

test('a day is signed when it is over and its work judged, with what it took and earned', async (t) => {
  const { folder, peer, pass, world, work, open } = await deviceIn(t, '2026-11-28T21:00:00Z'); // 22:00 in Berlin
  const days = open();
  days.work(work());
  world.works = true;
  days.decided(decision('run'));
  await pass(HOUR_MS, days);
  days.work(work({ round: 3, units: 500 }));
  days.decided(decision('pause', 'in-use'));
  world.works = false;
  await pass(HOUR_MS, days); // until midnight
  days.decided(decision('slow-down'));
  world.works = true;
  await pass(HOUR_MS / 4, days);
  assert.equal(readReceipts(folder).receipts.length, 0); // not judged yet
  world.told = { ...world.told, merged_rounds: 4, merged_units: 4000, paid: [{ round: 3, units: 500, shares: 50 }] };
  await pass(120_000, days);
  const [{ receipt }] = readReceipts(folder).receipts;
  assert.deepEqual(world.problems, []);
  assert.equal(receipt.device, peer);
  const { body } = receipt;
  const near = (got: number, wanted: number, most: number): void =>
    assert.ok(Math.abs(got - wanted) <= most, `${got}, expected about ${wanted}`);
  assert.deepEqual([body.day, body.number, body.currency, body.time_zone], ['2026-11-28', 1, 'EUR', 'Europe/Berlin']);
  near(body.working_ms, HOUR_MS, 20_000);
  near(body.paused.find(({ code }) => code === 'in-use')!.paused_ms, HOUR_MS, 20_000);
  // Half of 100 W for an hour at 0.20, and wear.
  near(body.cost_micro, 0.05 * 200_000 + 10_000, 200);
  assert.equal(body.earned_micro, 50_000);
  assert.deepEqual(
    body.work.map(({ handed_in, verified, shares }) => [handed_in, verified, shares]),
    [[500, 500, 50]],
  );
  await days.close();
  const [next] = readBook(folder).book.days;
  near(next.counts.slower_ms, HOUR_MS / 4 + 120_000, 20_000);
});

test('killed and started again, it goes on where it was; what was signed before the crash is not counted twice', async (t) => {
  const killed = await deviceIn(t, '2026-11-28T21:30:00Z'); // 22:30 in Berlin
  const { folder } = killed;
  const works = async ({ world, work, open, pass }: typeof killed, minutes: number) => {
    const days = open();
    days.work(work());
    world.works = true;
    days.decided(decision('run'));
    await pass(minutes * 60_000, days);
    assert.deepEqual(world.problems, []);
    return days;
  };
  await works(killed, 30); // and nothing more is heard of it
  const book = readFileSync(join(folder, 'days', 'open.json'), 'utf8');
  await (await works(await deviceIn(t, '2026-11-28T22:00:00Z', SETTINGS, folder), 70)).close();
  const [{ receipt }, ...more] = readReceipts(folder).receipts;
  const { working_ms } = receipt.body;
  assert.ok(working_ms >= 88 * 60_000 && working_ms <= 90 * 60_000, `${working_ms}`); // a minute may be lost
  writeFileSync(join(folder, 'days', 'open.json'), book); // as if the crash had come before it was written
  await (await works(await deviceIn(t, '2026-11-28T23:20:00Z', SETTINGS, folder), 2)).close();
  assert.deepEqual([more, readReceipts(folder).receipts.length], [[], 1]);
});

test('what was counted and is damaged is told, and begins anew; files aside are not left', async (t) => {
  const { folder, pass, world, work, open } = await deviceIn(t, '2026-11-28T12:00:00Z');
  const days = open();
  days.work(work());
  await pass(120_000, days);
  await days.close();
  writeFileSync(join(folder, 'days', 'open.json'), '{"version":1,"days":[{}]}');
  const again = open();
  again.work(work());
  await pass(120_000, again);
  await again.close();
  assert.match(world.problems.join(), /open\.json is damaged: the days that were open in it begin anew/);
  assert.deepEqual(readdirSync(join(folder, 'days')), ['open.json']);
});

test('worth: by what it states, found out first, and unknown in words where nobody states anything', async (t) => {
  const { pass, world, work, open } = await deviceIn(t, '2026-11-28T22:00:00Z', { ...SETTINGS, only_if_worth: true });
  const days = open();
  const earns = () => {
    const worth = days.worth();
    assert.ok('known' in worth, JSON.stringify(worth));
    return worth.known;
  };
  assert.equal(earns().earns_micro, null);
  days.work(work());
  days.decided(decision('run'));
  world.works = true;
  await pass(HOUR_MS / 2, days);
  days.work(work({ round: 3, units: 500 }));
  await pass(120_000, days);
  const { earns_micro, costs_micro } = earns();
  assert.ok(earns_micro! > 0 && costs_micro > 19_000 && costs_micro < 21_000, `${earns_micro}, ${costs_micro}`);
  await days.close();
  const { watts_busy: _, ...nothing } = SETTINGS;
  const blind = await deviceIn(t, '2026-11-28T22:00:00Z', { ...nothing, only_if_worth: true });
  const other = blind.open();
  await blind.pass(20_000, other);
  assert.deepEqual(other.worth(), { unknown: 'nothing here measures it: set watts_busy and watts_idle' });
  await other.close();
});
