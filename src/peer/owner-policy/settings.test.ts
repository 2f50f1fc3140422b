// What an owner may set: defaults for what is left out, and one sentence for what is unknown, out of bounds or contradicts itself.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { OwnerPolicyError } from './errors.ts';
import { REASONS } from './reasons.ts';
import { DEFAULT_SETTINGS, DeviceSettingsSchema, readDeviceSettings } from './settings.ts';

test('who sets nothing lends mains power, and the graphics processor after three minutes', () => {
  const { on_battery, idle_after_s, gpu, cores_idle, cores_in_use, on_metered } = DEFAULT_SETTINGS;
  assert.deepEqual(
    [on_battery, idle_after_s, gpu, cores_idle, cores_in_use, on_metered],
    [false, 180, 'idle', null, null, false],
  );
});

test('every field says what it means', () => {
  for (const [name, field] of Object.entries(DeviceSettingsSchema.shape))
    assert.ok((field.meta()?.description ?? '').length > 15, name);
});

const BERLIN = { time_zone: 'Europe/Berlin' };
const day = (name: string, hours: number) => [{ day: name, prices: Array<number>(hours).fill(0.3) }];
const TARIFF = [{ hours: ['00:00-12:00'], price_per_kwh: 0.2 }];
for (const [settings, says] of [
  [{ on_batery: true }, /on_batery/],
  [{ on_battery: 'yes' }, /^on_battery: .*boolean/],
  [{ idle_after_s: -1 }, /^idle_after_s: /],
  [{ gpu: 'sometimes' }, /^gpu: .*"never"\|"idle"\|"always"/],
  [{ hours: ['at night'] }, /^hours: expected hours such as .*got "at night"/],
  [{ hours: [] }, /^hours: expected some hours, or null/],
  [{ quiet_hours: ['7:00-7:00'] }, /^quiet_hours: /],
  [{ tariff: TARIFF }, /^tariff: expected one price for each hour of the week, got no price for mon 12:00/],
  [{ tariff: [...TARIFF, { hours: ['11:00-24:00'], price_per_kwh: 1 }] }, /^tariff: .*got 2 prices for mon 11:00/],
  [{ most_price_per_kwh: 0.3 }, /^most_price_per_kwh: expected a tariff/],
  [{ only_if_worth: true }, /^only_if_worth: expected value_per_share or value_per_million_units .*got neither/],
  [{ only_if_worth: true, value_per_share: 1 }, /^only_if_worth: expected a tariff/],
  [{ value_per_share: 1, value_per_million_units: 1 }, /^value_per_share: .*got both/],
  [{ watts_idle: 50, watts_busy: 40 }, /^watts_busy: expected at least watts_idle, which is 50, got 40/],
  [{ tariff_days: day('2026-02-29', 24) }, /^tariff_days: expected a day such as 2026-11-29, got "2026-02-29"/],
  [{ tariff_days: [...day('2026-03-01', 24), ...day('2026-03-01', 24)] }, /^tariff_days: .*got 2026-03-01 twice/],
  [{ ...BERLIN, tariff_days: day('2026-03-28', 23) }, /^tariff_days: expected 24 prices for 2026-03-28, one .*got 23/],
  [{ ...BERLIN, tariff_days: day('2026-03-29', 24) }, /expected 23 prices for 2026-03-29, on which the clocks are set/],
  [{ ...BERLIN, tariff_days: day('2026-10-25', 24) }, /expected 25 prices for 2026-10-25/],
  [{ currency: 'EURO' }, /^currency: expected the three letters of a currency, such as EUR, got "EURO"/],
  [{ currency: 'EUR', tariff_days: [{ ...day('2026-03-28', 24)[0], currency: 'USD' }] }, /got EUR and USD: nothing/],
  [{ cores_idle: 2, cores_in_use: 4 }, /^cores_in_use: expected at most cores_idle, which is 2, got 4/],
  [{ cores_idle: 0 }, /^cores_idle: expected at least 1/],
  [{ memory_percent_in_use: 95 }, /^memory_percent_in_use: expected at most memory_percent_idle, which is 90, got 95/],
  [{ time_zone: 'Mars/Olympus' }, /^time_zone: expected a name such as Europe\/Berlin, got "Mars\/Olympus"/],
  [[], /object/],
  [null, /object/],
] as const) {
  test(`refused: ${JSON.stringify(settings)}`, () => {
    assert.throws(
      () => readDeviceSettings(settings),
      (error: Error) => {
        assert.ok(error instanceof OwnerPolicyError && error.code === 'bad-device-settings');
        assert.match(error.message, says);
        assert.ok(!error.message.includes('\n'));
        return true;
      },
    );
  });
}

test('a zone, hours and a whole tariff are taken', () => {
  const { hours, tariff, time_zone } = readDeviceSettings({
    time_zone: 'Europe/Berlin',
    hours: ['mon-fri 22:00-07:00', 'sat,sun 00:00-24:00'],
    tariff: [{ hours: ['00:00-24:00'], price_per_kwh: 0.3 }],
    most_price_per_kwh: 0.25,
  });
  assert.deepEqual([hours?.length, tariff?.length, time_zone], [7, 1, 'Europe/Berlin']);
});

test('docs/devices.md lists every setting with its default and meaning, and every reason', () => {
  const page = readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'devices.md'), 'utf8');
  const defaults: Readonly<Record<string, unknown>> = DeviceSettingsSchema.parse({});
  for (const [name, field] of Object.entries(DeviceSettingsSchema.shape)) {
    const row = `| \`${name}\` | ${JSON.stringify(defaults[name])} | ${field.meta()?.description} |`;
    assert.ok(page.includes(row), row);
  }
  for (const [code, words] of Object.entries(REASONS)) assert.ok(page.includes(`| \`${code}\` | ${words} |`), code);
});
