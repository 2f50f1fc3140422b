// Energy: what each system tells, in recorded or documented forms; counters that wrap or are locked; and what of it is Potluck's.
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type EnergyLook, openEnergyMeter, type StatedWatts } from './energy.ts';
import {
  batteriesOfWindows,
  batteryOfMac,
  type PowerReadings,
  powerOfLinux,
  powerOfMac,
  powerOfNvidia,
} from './energy-probes.ts';
import type { Run } from './sources.ts';
import { fakeRoot, LAPTOP } from './testing/fake-root.ts';

const NO_COMMANDS: Run = async () => ({ missing: true });
const RAPL = 'sys/class/powercap';
/** Two packages with their cores and memory, as a server's tree is. */
const SERVER = {
  [`${RAPL}/intel-rapl/enabled`]: '1\n',
  ...zone('intel-rapl:0', 'package-0', '1000000'),
  ...zone('intel-rapl:0:0', 'core', '400000'),
  ...zone('intel-rapl:0:1', 'dram', '50000'),
  ...zone('intel-rapl:1', 'package-1', '2000000'),
};
function zone(at: string, name: string, energy_uj: string): Record<string, string> {
  const files = { name, energy_uj, max_energy_range_uj: '262143328850' };
  return Object.fromEntries(Object.entries(files).map(([file, text]) => [`${RAPL}/${at}/${file}`, `${text}\n`]));
}
const whysOf = (power: PowerReadings): string[] =>
  power.flatMap(({ reading }) => ('none' in reading ? [reading.none] : []));

test('RAPL: packages and memory, not cores twice; the platform where it has a domain of its own', async (t) => {
  const { root, write } = fakeRoot(t, SERVER);
  const names = async () => (await powerOfLinux({ root, run: NO_COMMANDS })).map(({ name }) => name);
  assert.deepEqual(await names(), [
    'RAPL package-0 intel-rapl:0',
    'RAPL dram intel-rapl:0:1',
    'RAPL package-1 intel-rapl:1',
  ]);
  write(zone('intel-rapl:2', 'psys', '5000000'));
  const [{ name, reading }, ...more] = await powerOfLinux({ root, run: NO_COMMANDS });
  assert.deepEqual([name, reading, more], ['RAPL psys intel-rapl:2', { joules: 5, wraps_joules: 262143.32885 }, []]);
});

test('RAPL that only root may read, that is missing or that says nonsense is told in words', async (t) => {
  const { root, write } = fakeRoot(t, SERVER);
  write({ [`${RAPL}/intel-rapl:1/energy_uj`]: 'busy\n' });
  chmodSync(join(root, RAPL, 'intel-rapl:0', 'energy_uj'), 0);
  const whys = whysOf(await powerOfLinux({ root, run: NO_COMMANDS }));
  // Root reads what nobody may.
  if (process.getuid?.() !== 0) assert.ok(whys.includes('RAPL (package-0): only root may read it here'), whys.join());
  assert.ok(whys.includes('RAPL (package-1): expected a number, got "busy"'), whys.join());
  const bare = await powerOfLinux({ root: fakeRoot(t, {}).root, run: NO_COMMANDS });
  assert.deepEqual(whysOf(bare), ['this processor has no RAPL']);
});

test('a battery tells what the whole laptop draws while it discharges, by power or by current and voltage', async (t) => {
  const at = 'sys/class/power_supply/BAT0';
  const { root, write } = fakeRoot(t, LAPTOP);
  const machine = async () => (await powerOfLinux({ root, run: NO_COMMANDS })).filter(({ part }) => part === 'machine');
  assert.deepEqual(whysOf(await machine()), ['battery BAT0: it does not discharge']);
  write({ [`${at}/status`]: 'Discharging\n' });
  assert.deepEqual(whysOf(await machine()), ['battery BAT0: it does not say what is drawn']);
  write({ [`${at}/current_now`]: '-1500000\n', [`${at}/voltage_now`]: '12000000\n' });
  assert.deepEqual((await machine())[0].reading, { watts: 18 });
  write({ [`${at}/power_now`]: '21500000\n' });
  assert.deepEqual((await machine())[0].reading, { watts: 21.5 });
  write({ [`${at}/power_now`]: '99000000000\n' });
  assert.deepEqual(whysOf(await machine()), ['battery BAT0 says that it is 99000 W']);
});

test('nvidia-smi: power of each card, also where one does not measure', () => {
  assert.deepEqual(powerOfNvidia({ text: '0, 71.35\n1, [N/A]\n' }), [
    { part: 0, name: 'graphics processor 0', reading: { watts: 71.35 } },
    { part: 1, name: 'graphics processor 1', reading: { none: 'graphics processor 1 does not measure' } },
  ]);
  assert.deepEqual(powerOfNvidia({ missing: true }), []);
  assert.deepEqual(powerOfNvidia({ failed: 'nvidia-smi: no devices were found' }), []);
  assert.deepEqual(powerOfNvidia({ text: 'No devices were found\n' }), []);
});

test('macOS: the battery by ioreg, whose currents have no sign', async () => {
  const ioreg = (amperage: string): string =>
    `+-o AppleSmartBattery  <class AppleSmartBattery>\n    {\n      "Voltage" = 11843\n      "Amperage" = ${amperage}\n      "IsCharging" = No\n    }\n`;
  const reading = (amperage: string) => batteryOfMac({ text: ioreg(amperage) }).reading;
  assert.deepEqual(reading('18446744073709550416'), { watts: 14.2116 }); // -1200 mA
  assert.deepEqual(reading('-1200'), { watts: 14.2116 });
  assert.deepEqual(reading('0'), { none: 'battery: it does not discharge' });
  assert.match(
    whysOf([batteryOfMac({ text: '' })])[0],
    /no battery that says what is drawn; other counters are for root/,
  );
  assert.deepEqual(whysOf(await powerOfMac(NO_COMMANDS)), ['there is no ioreg']);
});

test('Windows: one battery, two or none', () => {
  const reading = (text: string) => batteriesOfWindows({ text })[0].reading;
  assert.deepEqual(reading('{"Discharging":true,"DischargeRate":15230}\r\n'), { watts: 15.23 });
  assert.deepEqual(reading('[{"Discharging":true,"DischargeRate":9000},{"Discharging":false,"DischargeRate":0}]'), {
    watts: 9,
  });
  assert.deepEqual(reading('{"Discharging":false,"DischargeRate":0}'), { none: 'battery: it does not discharge' });
  assert.deepEqual(reading(''), { none: 'no battery, and Windows tells nothing else' });
  assert.match(JSON.stringify(reading('Get-CimInstance: Access denied')), /PowerShell said .*Access denied/);
  assert.match(whysOf(batteriesOfWindows({ missing: true }))[0], /no PowerShell/);
});

const NOTHING_STATED: StatedWatts = { watts_idle: null, watts_busy: null };
const LOOK: EnergyLook = { elapsed_ms: 0, power: [], own_cpu_ms: 0, busy_cpu_ms: 0, all_cpu_ms: 0, gpuPart: () => 0 };
const processor = (joules: number): PowerReadings => [
  { part: 'processor', name: 'RAPL', reading: { joules, wraps_joules: 1000 } },
];

/** Looks ten seconds apart, on four cores. @param own and others: busy cores in each */
function looks(
  stated: StatedWatts,
  steps: readonly { power: PowerReadings; own: number; others: number; gpu?: number }[],
) {
  const meter = openEnergyMeter();
  let [elapsed_ms, own_cpu_ms, busy_cpu_ms] = [0, 0, 0];
  return steps.map(({ power, own, others, gpu = 0 }) => {
    elapsed_ms += 10_000;
    own_cpu_ms += own * 10_000;
    busy_cpu_ms += (own + others) * 10_000;
    const look = { elapsed_ms, power, own_cpu_ms, busy_cpu_ms, all_cpu_ms: 4 * elapsed_ms, gpuPart: () => gpu };
    return meter.look(look, stated);
  });
}

test('measured energy beyond an idle machine is shared by what processors did, also where the counter begins again', () => {
  const made = looks(NOTHING_STATED, [
    { power: processor(800), own: 0, others: 0 },
    { power: processor(900), own: 0, others: 0.1 }, // 10 W, idle
    { power: processor(400), own: 1, others: 1 }, // 50 W, over the end of the counter
    { power: processor(800), own: 2, others: 0 }, // 40 W
  ]);
  assert.deepEqual(made, [
    null,
    { how: 'measured', joules: 0 },
    { how: 'measured', joules: 200 },
    { how: 'measured', joules: 300 },
  ]);
});

test('what never rested is taken to be idle at nothing: in doubt work costs more', () => {
  const made = looks(
    NOTHING_STATED,
    [0, 300, 600].map((joules) => ({ power: processor(joules), own: 1, others: 1 })),
  );
  assert.deepEqual(made.at(-1), { how: 'measured', joules: 150 });
});

test('a graphics processor counts by its own part, a battery for everything', () => {
  const card = (watts: number): PowerReadings => [{ part: 0, name: 'graphics processor 0', reading: { watts } }];
  const made = looks(NOTHING_STATED, [
    { power: [...processor(0), ...card(20)], own: 0, others: 0 },
    { power: [...processor(100), ...card(20)], own: 0, others: 0 },
    { power: [...processor(200), ...card(220)], own: 0, others: 0, gpu: 0.5 },
  ]);
  assert.deepEqual(made.at(-1), { how: 'measured', joules: 1000 });
  const battery: PowerReadings = [{ part: 'machine', name: 'battery', reading: { watts: 30 } }];
  const onBattery = looks({ watts_idle: 10, watts_busy: null }, [
    { power: [...processor(0), ...battery], own: 0, others: 0 },
    { power: [...processor(9), ...battery], own: 1, others: 1 },
  ]);
  assert.deepEqual(onBattery.at(-1), { how: 'measured', joules: 100 });
  // A card alone is not all that work takes.
  const alone = looks(
    NOTHING_STATED,
    [card(20), card(200)].map((power) => ({ power, own: 1, others: 0, gpu: 1 })),
  );
  assert.equal(alone.at(-1)?.how, 'unknown');
});

test('where nothing measures, what the owner states counts by its part of all cores; otherwise nobody knows, and it says what to do', () => {
  const steps = [
    { power: [], own: 0, others: 0 },
    { power: [], own: 2, others: 1 },
  ];
  assert.deepEqual(looks({ watts_idle: 40, watts_busy: 120 }, steps).at(-1), { how: 'stated', joules: 400 });
  assert.deepEqual(looks({ watts_idle: null, watts_busy: 120 }, steps).at(-1), { how: 'stated', joules: 600 });
  const locked: PowerReadings = [
    { part: 'processor', name: 'RAPL', reading: { none: 'RAPL (package-0): only root may read it here' } },
  ];
  const unknown = looks(NOTHING_STATED, [
    { power: locked, own: 1, others: 0 },
    { power: locked, own: 1, others: 0 },
  ]);
  assert.deepEqual(unknown.at(-1), {
    how: 'unknown',
    why: 'nothing here measures it (RAPL (package-0): only root may read it here): set watts_busy and watts_idle',
  });
});

test('after sleep nothing is made up, and processes that ended take nothing back', () => {
  const meter = openEnergyMeter();
  meter.look({ ...LOOK, power: processor(0) }, NOTHING_STATED);
  const slept = meter.look({ ...LOOK, elapsed_ms: 3_600_000, power: processor(500) }, NOTHING_STATED);
  assert.equal(slept?.how, 'unknown');
  const later = { ...LOOK, elapsed_ms: 3_610_000, power: processor(600), own_cpu_ms: -5000, busy_cpu_ms: 10_000 };
  assert.deepEqual(meter.look(later, NOTHING_STATED), { how: 'measured', joules: 0 });
});
