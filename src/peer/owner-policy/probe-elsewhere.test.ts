// What macOS and Windows tell, in the forms that their documents give: neither was at hand, so that these are no recordings of ours.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCpuTimes } from './own-use.ts';
import { idleOfMac, memoryOfMac, powerOfMac } from './probe-mac.ts';
import { signalsOfWindows } from './probe-windows.ts';

const FAILED = { failed: 'it did not answer within 2.5 s' };

test('macOS: since when nobody has touched it, from ioreg', () => {
  const text = `+-o IOHIDSystem  <class IOHIDSystem, id 0x1000005aa, registered, matched, active, busy 0>
    {
      "HIDScrollCountMaxTimeDeltaToSustain" = 250000000
      "HIDIdleTime" = 2087503125
    }`;
  assert.deepEqual(idleOfMac({ text }), { known: 2087.503125 });
  assert.deepEqual(idleOfMac({ text: '' }), { absent: 'no keyboard or screen' });
  assert.deepEqual(idleOfMac(FAILED), { unknown: FAILED.failed });
  assert.deepEqual(idleOfMac({ missing: true }), { unknown: 'there is no ioreg' });
});

test('macOS: power, from pmset', () => {
  const battery = (source: string, charge: number): string =>
    `Now drawing from '${source}'\n -InternalBattery-0 (id=4522083)\t${charge}%; discharging; 4:05 remaining present: true\n`;
  assert.deepEqual(powerOfMac({ text: battery('Battery Power', 81) }), {
    known: { on_battery: true, charge_percent: 81 },
  });
  assert.deepEqual(powerOfMac({ text: battery('AC Power', 100) }), {
    known: { on_battery: false, charge_percent: 100 },
  });
  assert.deepEqual(powerOfMac({ text: "Now drawing from 'AC Power'\n" }), { absent: 'no battery' });
  assert.deepEqual(powerOfMac({ text: "Now drawing from 'UPS Power'\n" }), {
    unknown: `pmset said "Now drawing from 'UPS Power'"`,
  });
  assert.match(JSON.stringify(powerOfMac({ text: battery('AC Power', 255) })), /unknown/);
  assert.deepEqual(powerOfMac(FAILED), { unknown: FAILED.failed });
});

test('macOS: memory, from vm_stat', () => {
  const text = `Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                               10000.
Pages active:                            300000.
Pages inactive:                          200000.
Pages speculative:                         5000.
Pages throttled:                              0.
Pages wired down:                        120000.
Pages purgeable:                           1000.
`;
  assert.deepEqual(memoryOfMac({ text }, 16e9, 5), {
    known: { total_bytes: 16e9, available_bytes: 216_000 * 16_384, own_bytes: 5 },
  });
  assert.match(JSON.stringify(memoryOfMac({ text: 'nothing' }, 16e9, 0)), /unknown/);
  assert.match(JSON.stringify(memoryOfMac({ text }, 1e9, 0)), /unknown/);
});

test('Windows: a line of the script', () => {
  const line = (changes: object): string =>
    JSON.stringify({
      idle_ms: 1500,
      ac: 1,
      flag: 8,
      percent: 90,
      free_kb: 4_000_000,
      cost: 'Unrestricted',
      ...changes,
    });
  const signals = (changes: object) => signalsOfWindows(line(changes), 8e9, 1e9);
  assert.deepEqual(signals({}), {
    idle_ms: { known: 1500 },
    power: { known: { on_battery: false, charge_percent: 90 } },
    memory: { known: { total_bytes: 8e9, available_bytes: 4_096_000_000, own_bytes: 1e9 } },
    metered: { known: false },
  });
  assert.deepEqual(signals({ ac: 0, percent: 255 }).power, { known: { on_battery: true, charge_percent: null } });
  assert.deepEqual(signals({ flag: 128, percent: 255 }).power, { absent: 'no battery' });
  assert.match(JSON.stringify(signals({ ac: 255 }).power), /unknown/);
  assert.deepEqual(
    [signals({ cost: 'Fixed' }).metered, signals({ cost: '' }).metered],
    [{ known: true }, { absent: 'Windows does not say' }],
  );
  assert.ok('absent' in signals({ idle_ms: -1 }).idle_ms);
  assert.throws(() => signalsOfWindows('{"idle_ms":"soon"}', 8e9, 0));
  assert.throws(() => signalsOfWindows('at line 1', 8e9, 0));
});

test("every system: Node's counters of the cores only grow, and hold this process", () => {
  const own = { cpu_ms: () => 5, rss_bytes: () => 0 };
  const before = nodeCpuTimes(own);
  for (const end = performance.now() + 100; performance.now() < end; );
  const after = nodeCpuTimes(own);
  assert.ok(after.busy_ms >= before.busy_ms && after.all_ms > before.all_ms && after.own_ms === 5);
});
