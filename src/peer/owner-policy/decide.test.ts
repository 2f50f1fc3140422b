// The owner's rules: every reason is reached, doubt never lets a device run, nothing flickers, and a pause always says why.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Decision, decide, type Moment, NO_MEMORY, type Orders, type PolicyMemory } from './decide.ts';
import { REASONS, type ReasonCode } from './reasons.ts';
import { DEFAULT_SETTINGS, type DeviceSettings, readDeviceSettings } from './settings.ts';
import type { SignalName, Signals } from './signals.ts';
import { CALM, NO_ORDERS, NOON } from './testing/calm.ts';

interface Situation {
  readonly signals?: Partial<Signals>;
  readonly settings?: object;
  readonly orders?: Partial<Orders>;
  readonly moment?: Partial<Moment>;
  readonly memory?: PolicyMemory;
}

const decideIn = ({ signals, settings = {}, orders, moment, memory = NO_MEMORY }: Situation) =>
  decide(
    { ...CALM, ...signals },
    readDeviceSettings({ time_zone: 'UTC', ...settings }),
    { ...NO_ORDERS, ...orders },
    { ...NOON, ...moment },
    memory,
  );

/** Decides again and again, each time so much later; what is left out is calm. */
function history(settings: object, steps: readonly (Situation & { readonly after_ms: number })[]): Decision[] {
  let memory: PolicyMemory = NO_MEMORY;
  let { now_ms, elapsed_ms } = NOON;
  return steps.map(({ after_ms, ...situation }) => {
    now_ms += after_ms;
    elapsed_ms += after_ms;
    const made = decideIn({ settings, memory, ...situation, moment: { now_ms, elapsed_ms, ...situation.moment } });
    memory = made.memory;
    return made.decision;
  });
}

const codesOf = ({ reasons, gpu_reasons }: Decision): ReasonCode[] =>
  [...reasons, ...gpu_reasons].map(({ code }) => code);
const NIGHT_TARIFF = [
  { hours: ['22:00-06:00'], price_per_kwh: 0.1 },
  { hours: ['06:00-22:00'], price_per_kwh: 0.4 },
];
const gpu = (foreign_percent: number | null, temperature_c = 40): Partial<Signals> => ({
  gpus: { known: [{ index: 0, foreign_percent, temperature_c }] },
});
const GATE = { tariff: NIGHT_TARIFF, value_per_share: 0.01, only_if_worth: true };
const worth = (earns_micro: number | null, costs_micro: number, at_risk = false): Partial<Signals> => ({
  worth: { known: { earns_micro, costs_micro, at_risk, message: 'what it earns beside what it costs' } },
});

/** The least that brings each reason about; the type demands every one. */
const SITUATIONS: Readonly<Record<Exclude<ReasonCode, 'settings-unreadable'>, Situation>> = {
  'paused-by-owner': { orders: { paused: true } },
  snoozed: { orders: { snooze_left_ms: 1 } },
  finishing: { orders: { finish: true } },
  'cannot-tell': { signals: { power: { unknown: 'the probe hangs' } } },
  'clock-jumped': {
    settings: { hours: ['00:00-24:00'] },
    memory: { ...NO_MEMORY, clock: { now_ms: NOON.now_ms - 3_600_000, elapsed_ms: NOON.elapsed_ms - 1000 } },
  },
  'outside-hours': { settings: { hours: ['22:00-07:00'] } },
  'price-high': { settings: { tariff: NIGHT_TARIFF, most_price_per_kwh: 0.3 } },
  'not-worth-it': { signals: worth(9_999, 10_000), settings: GATE },
  'on-battery': { signals: { power: { known: { on_battery: true, charge_percent: 99 } } } },
  'charge-low': { settings: { least_charge_percent: 90 } },
  'battery-hot': { signals: { battery_temperature_c: { known: 41 } } },
  'too-hot': { signals: { temperature_c: { known: 91 } } },
  'in-use': { signals: { idle_ms: { known: 179_999 } } },
  'foreign-cpu-load': {
    signals: { foreign_cpu_percent: { known: 11 } },
    settings: { foreign_cpu_percent_idle: 10, foreign_load_s: 0 },
  },
  'foreign-gpu-load': { signals: gpu(21), settings: { foreign_load_s: 0 } },
  'gpu-in-use': { signals: { idle_ms: { known: 0 } } },
  'gpu-switched-off': { settings: { gpus_off: [0] } },
  'memory-low': { signals: { memory: { known: { total_bytes: 16e9, available_bytes: 0.2e9, own_bytes: 1e9 } } } },
  'memory-over-limit': { signals: { memory: { known: { total_bytes: 16e9, available_bytes: 1e9, own_bytes: 15e9 } } } },
  'disk-low': { signals: { disk_free_bytes: { known: 1.9e9 } } },
  'metered-network': { signals: { metered: { known: true } } },
  'quiet-hours': { settings: { quiet_hours: ['mon-fri 11:00-13:00'] } },
};

test('on a calm device nothing is held up: all cores but one, and the graphics processor', () => {
  const { decision } = decideIn({});
  assert.deepEqual(
    { ...decision, keep_memory_ms: 0 },
    { do: 'run', reasons: [], cores: 7, duty: 1, gpus: [0], gpu_reasons: [], hand_in: false, keep_memory_ms: 0 },
  );
});

for (const [code, situation] of Object.entries(SITUATIONS)) {
  test(`${code} is reached, alone, with a sentence`, () => {
    const { decision } = decideIn(situation);
    const codes = codesOf(decision).filter((found) => !(code === 'in-use' && found === 'gpu-in-use'));
    assert.ok(codes.includes(code as ReasonCode), JSON.stringify(decision));
    if (code !== 'gpu-in-use') assert.deepEqual(codes, [code]);
    for (const { message } of [...decision.reasons, ...decision.gpu_reasons]) assert.match(message, /^.{20,200}$/);
  });
}

test('settings that cannot be read pause the device, whatever else holds', () => {
  const { decision } = decide(CALM, { unreadable: 'device.json is no JSON' }, NO_ORDERS, NOON, NO_MEMORY);
  assert.deepEqual(decision.reasons, [{ code: 'settings-unreadable', message: 'device.json is no JSON' }]);
  assert.equal(decision.do, 'pause');
});

test('every code is reached by one of these tests', () => {
  assert.deepEqual(Object.keys({ ...SITUATIONS, 'settings-unreadable': 1 }).sort(), Object.keys(REASONS).sort());
});

/** Mostly calm, so that one thing at a time goes wrong. */
const signal = <Name extends SignalName, T>(name: Name, known: fc.Arbitrary<T>) =>
  fc.oneof(
    { weight: 12, arbitrary: fc.constant(CALM[name]) },
    { weight: 4, arbitrary: known.map((value) => ({ known: value })) },
    { weight: 1, arbitrary: fc.constant({ absent: 'none here' }) },
    { weight: 1, arbitrary: fc.constant({ unknown: 'no answer' }) },
  );
const drawnSignals: fc.Arbitrary<Signals> = fc.record({
  power: signal(
    'power',
    fc.record({ on_battery: fc.boolean(), charge_percent: fc.option(fc.integer({ min: 0, max: 100 })) }),
  ),
  idle_ms: signal('idle_ms', fc.integer({ min: 0, max: 400_000 })),
  foreign_cpu_percent: signal('foreign_cpu_percent', fc.integer({ min: 0, max: 100 })),
  temperature_c: signal('temperature_c', fc.integer({ min: 20, max: 110 })),
  battery_temperature_c: signal('battery_temperature_c', fc.integer({ min: 10, max: 60 })),
  memory: signal(
    'memory',
    fc.record({
      total_bytes: fc.constant(8e9),
      available_bytes: fc.integer({ min: 0, max: 8e9 }),
      own_bytes: fc.integer({ min: 0, max: 8e9 }),
    }),
  ),
  disk_free_bytes: signal('disk_free_bytes', fc.integer({ min: 0, max: 5e9 })),
  metered: signal('metered', fc.boolean()),
  gpus: signal(
    'gpus',
    fc.array(
      fc.record({
        index: fc.integer({ min: 0, max: 3 }),
        foreign_percent: fc.integer({ min: 0, max: 100 }),
        temperature_c: fc.option(fc.integer({ min: 20, max: 110 })),
      }),
      { maxLength: 3 },
    ),
  ),
  worth: signal(
    'worth',
    fc.record({
      earns_micro: fc.option(fc.integer({ min: 0, max: 50_000 })),
      costs_micro: fc.integer({ min: -20_000, max: 50_000 }),
      at_risk: fc.boolean(),
      message: fc.constant('what it earns beside what it costs'),
    }),
  ),
});
const drawnSettings: fc.Arbitrary<DeviceSettings> = fc
  .record(
    {
      on_battery: fc.boolean(),
      least_charge_percent: fc.constantFrom(0, 50, 100),
      cores_in_use: fc.constantFrom(null, 0, 1, 4),
      foreign_cpu_percent_idle: fc.constantFrom(null, 25),
      foreign_load_s: fc.constantFrom(0, 10),
      hottest_c: fc.constantFrom(null, 80),
      hours: fc.constantFrom(null, ['mon-fri 22:00-07:00'], ['sat,sun 00:00-24:00', '12:00-13:00']),
      quiet_hours: fc.constantFrom(null, ['12:30-13:00']),
      quiet_duty: fc.constantFrom(0, 0.25),
      tariff: fc.constantFrom(null, NIGHT_TARIFF),
      only_if_worth: fc.constantFrom(false, false, false, true),
      gpus_off: fc.constantFrom([], [1]),
      on_metered: fc.boolean(),
      duty_in_use: fc.constantFrom(0.5, 1),
    },
    { requiredKeys: [] },
  )
  .map(({ tariff = null, only_if_worth, ...drawn }) =>
    readDeviceSettings({
      ...{ time_zone: 'UTC', ...drawn, tariff, most_price_per_kwh: tariff ? 0.3 : null },
      ...(only_if_worth && tariff ? GATE : {}),
    }),
  );
const drawnOrders: fc.Arbitrary<Orders> = fc.record({
  paused: fc.constantFrom(false, false, false, true),
  finish: fc.constantFrom(false, false, false, true),
  snooze_left_ms: fc.constantFrom(0, 0, 0, 60_000),
});
const drawnStep = fc.record({
  signals: drawnSignals,
  orders: drawnOrders,
  later_ms: fc.integer({ min: 0, max: 600_000 }),
  clock_moves_ms: fc.constantFrom(0, 0, 0, 7_200_000, -7_200_000),
});

const freeze = <T>(value: T): T => {
  if (typeof value === 'object' && value !== null) for (const part of Object.values(value)) freeze(part);
  return Object.freeze(value);
};

describe('whatever is seen, set and said', () => {
  test('a decision is whole, the same for the same, and changes nothing that it was given', () => {
    const reached = new Set<string>();
    fc.assert(
      fc.property(drawnSettings, fc.array(drawnStep, { minLength: 1, maxLength: 8 }), (settings, steps) => {
        let memory: PolicyMemory = NO_MEMORY;
        let { now_ms, elapsed_ms } = NOON;
        for (const { signals, orders, later_ms, clock_moves_ms } of steps) {
          elapsed_ms += later_ms;
          now_ms += later_ms + clock_moves_ms;
          const moment = { now_ms, elapsed_ms, cores: 8 };
          const given = freeze([signals, settings, orders, moment, memory] as const);
          const { decision, memory: next } = decide(...given);
          assert.deepEqual(decide(...given), { decision, memory: next });
          checkWhole(decision);
          checkDoubt(decision, signals, settings);
          for (const code of codesOf(decision)) reached.add(code);
          memory = JSON.parse(JSON.stringify(next)); // it may be kept in a file
        }
      }),
      { numRuns: 500, seed: 13 },
    );
    assert.deepEqual([...reached].sort(), Object.keys(SITUATIONS).sort());
  });
});

function checkWhole({ do: what, reasons, gpu_reasons, cores, duty, gpus, hand_in }: Decision): void {
  for (const { code, message } of [...reasons, ...gpu_reasons]) {
    assert.ok(Object.hasOwn(REASONS, code));
    assert.ok(message.length > 20, message);
  }
  assert.equal(reasons.length > 0, what !== 'run');
  if (what === 'pause') {
    assert.deepEqual([cores, duty, gpus], [0, 0, []]);
    return;
  }
  assert.ok(cores >= 1 && cores <= 8 && duty > 0 && duty <= 1, `${cores} cores, ${duty}`);
  assert.equal(hand_in, false);
}

/** What a rule needs and nobody can tell never lets the device run as if nothing were. */
function checkDoubt(decision: Decision, signals: Signals, settings: DeviceSettings): void {
  const needed: Readonly<Record<SignalName, boolean>> = {
    power: !settings.on_battery || settings.least_charge_percent > 0,
    idle_ms: false, // it is taken to be in use
    foreign_cpu_percent: settings.foreign_cpu_percent_idle !== null,
    temperature_c: settings.hottest_c !== null,
    battery_temperature_c: settings.hottest_battery_c !== null,
    memory: true,
    disk_free_bytes: true,
    metered: !settings.on_metered,
    gpus: false, // they rest, the processor works
    worth: settings.only_if_worth,
  };
  for (const [name, one] of Object.entries(signals)) {
    if (!('unknown' in one)) continue;
    if (needed[name as SignalName]) assert.equal(decision.do, 'pause', name);
    if (name === 'gpus') assert.deepEqual(decision.gpus, []);
    if (name !== 'idle_ms' || decision.do === 'pause') continue;
    assert.ok(decision.cores <= 4);
    assert.ok(settings.gpus_off !== null && decision.gpus.length === 0);
  }
}

test('what is not there holds nothing up: a container runs', () => {
  const nothing = Object.fromEntries(Object.keys(CALM).map((name) => [name, { absent: 'none here' }]));
  const { decision } = decide(nothing as unknown as Signals, DEFAULT_SETTINGS, NO_ORDERS, NOON, NO_MEMORY);
  assert.deepEqual([decision.do, decision.cores, decision.reasons], ['run', 7, []]);
});

test('for a graphics processor that no command tells of the rules about its owner hold, also in a pause', () => {
  const unseen: Partial<Signals> = { gpus: { absent: 'no nvidia-smi' } };
  const codes = (situation: Situation): ReasonCode[] =>
    decideIn({ ...situation, signals: { ...unseen, ...situation.signals } }).decision.gpu_reasons.map(
      ({ code }) => code,
    );
  const used: Partial<Signals> = { idle_ms: { known: 0 } };
  assert.deepEqual(codes({}), []);
  assert.deepEqual(codes({ signals: used }), ['gpu-in-use']);
  assert.deepEqual(codes({ signals: used, settings: { gpu: 'always' } }), []);
  assert.deepEqual(codes({ signals: used, settings: { cores_in_use: 0 } }), ['gpu-in-use']);
  assert.deepEqual(codes({ settings: { gpus_off: [0] } }), ['gpu-switched-off']);
  const quiet = { quiet_hours: ['mon-fri 11:00-13:00'], quiet_duty: 0.5 };
  assert.deepEqual(codes({ settings: quiet }), ['quiet-hours']);
});

test('in use, it takes half of the cores by default, and none where that is set; on one core it goes on', () => {
  const signals: Partial<Signals> = { idle_ms: { known: 0 } };
  const { decision } = decideIn({ signals });
  assert.deepEqual([decision.do, decision.cores, decision.reasons[0].code], ['slow-down', 4, 'in-use']);
  assert.equal(decideIn({ signals, settings: { cores_in_use: 0 } }).decision.do, 'pause');
  assert.equal(decideIn({ signals, moment: { cores: 1 } }).decision.do, 'run');
  assert.equal(decideIn({ signals, settings: { duty_in_use: 0.5 } }).decision.duty, 0.5);
});

test('it goes on after exactly three minutes without the owner', () => {
  const settings = { cores_in_use: 0 };
  const at = (known: number): string => decideIn({ settings, signals: { idle_ms: { known } } }).decision.do;
  assert.deepEqual([at(179_999), at(180_000)], ['pause', 'run']);
});

test('a device that is too hot works again when it was cooler for a minute', () => {
  const heat = (known: number): Situation => ({ signals: { temperature_c: { known } } });
  const made = history({}, [
    { after_ms: 1000, ...heat(91) },
    { after_ms: 600_000, ...heat(88) }, // between the two nothing changes
    { after_ms: 1000, ...heat(85) },
    { after_ms: 59_000, ...heat(85) },
    { after_ms: 500, ...heat(86) }, // and begins anew
    { after_ms: 500, ...heat(80) },
    { after_ms: 59_999, ...heat(80) },
    { after_ms: 1, ...heat(80) },
    { after_ms: 1, ...heat(90) },
  ]);
  assert.deepEqual(
    made.map((one) => one.do),
    [...Array(7).fill('pause'), 'run', 'run'],
  );
});

test('heat that was there is not forgotten while nothing can be measured', () => {
  const heat = (temperature_c: Signals['temperature_c']): Situation => ({ signals: { temperature_c } });
  const made = history({}, [
    { after_ms: 1000, ...heat({ known: 91 }) },
    { after_ms: 1000, ...heat({ unknown: 'no answer' }) },
    { after_ms: 1000, ...heat({ known: 88 }) },
  ]);
  assert.deepEqual(made.map(codesOf), [['too-hot'], ['cannot-tell'], ['too-hot']]);
});

test("others' load counts when it lasts, and its end as well", () => {
  const load = (known: number): Situation => ({ signals: { foreign_cpu_percent: { known } } });
  const made = history({ foreign_cpu_percent_idle: 25, foreign_load_s: 5 }, [
    { after_ms: 1000, ...load(100) },
    { after_ms: 4000, ...load(10) },
    { after_ms: 1000, ...load(100) },
    { after_ms: 4999, ...load(26) },
    { after_ms: 1, ...load(26) },
    { after_ms: 60_000, ...load(24) }, // not clearly less
    { after_ms: 1, ...load(20) },
    { after_ms: 5000, ...load(20) },
  ]);
  assert.deepEqual(
    made.map((one) => one.do),
    ['run', 'run', 'run', 'run', 'pause', 'pause', 'pause', 'run'],
  );
});

test('charge, disk and memory come back with a margin', () => {
  const charge = (charge_percent: number): Situation => ({
    signals: { power: { known: { on_battery: false, charge_percent } } },
  });
  const charged = history(
    { least_charge_percent: 90 },
    [89, 90, 94, 95, 90].map((one) => ({ after_ms: 1, ...charge(one) })),
  );
  assert.deepEqual(
    charged.map((one) => one.do),
    ['pause', 'pause', 'pause', 'run', 'run'],
  );
  const disk = (known: number): Situation => ({ signals: { disk_free_bytes: { known } } });
  const free = history(
    {},
    [1.9e9, 2.4e9, 2.5e9, 2e9].map((one) => ({ after_ms: 1, ...disk(one) })),
  );
  assert.deepEqual(
    free.map((one) => one.do),
    ['pause', 'pause', 'run', 'run'],
  );
  const memory = (available_bytes: number): Situation => ({
    signals: { memory: { known: { total_bytes: 8e9, available_bytes, own_bytes: 0 } } },
  });
  const room = history({}, [
    { after_ms: 1, ...memory(0.2e9) },
    { after_ms: 1, ...memory(4e9) },
    { after_ms: 299_999, ...memory(4e9) },
    { after_ms: 1, ...memory(4e9) },
  ]);
  assert.deepEqual(
    room.map((one) => one.do),
    ['pause', 'pause', 'pause', 'run'],
  );
  assert.equal(room[0].keep_memory_ms, 0);
});

test('a charge of 100 that is asked for can be reached, and a battery that does not say how full it is cannot', () => {
  const at = (charge_percent: number | null) =>
    decideIn({
      settings: { least_charge_percent: 100 },
      signals: { power: { known: { on_battery: false, charge_percent } } },
    }).decision;
  assert.deepEqual(
    [at(100).do, at(99).reasons[0].code, at(null).reasons[0].code],
    ['run', 'charge-low', 'cannot-tell'],
  );
});

test('after a jump of the clock, and after sleep, rules by the hour wait a minute; without such rules nothing waits', () => {
  const jump = (settings: object, clock_moves_ms: number): string[] => {
    let { now_ms, elapsed_ms } = NOON;
    let memory: PolicyMemory = NO_MEMORY;
    return [0, clock_moves_ms, 0, 0].map((moves_ms) => {
      elapsed_ms += 30_000;
      now_ms += 30_000 + moves_ms;
      const made = decideIn({ settings, memory, moment: { now_ms, elapsed_ms } });
      memory = made.memory;
      return made.decision.reasons[0]?.code ?? made.decision.do;
    });
  };
  const always = { hours: ['00:00-24:00'] };
  for (const moves_ms of [3_600_000, -3_600_000]) {
    assert.deepEqual(jump(always, moves_ms), ['run', 'clock-jumped', 'clock-jumped', 'run']);
    assert.deepEqual(jump({}, moves_ms), ['run', 'run', 'run', 'run']);
  }
  assert.deepEqual(jump(always, 60_000), ['run', 'run', 'run', 'run']);
});

test('what was to be foreseen is handed in first, what comes suddenly is not', () => {
  const handsIn = (situation: Situation): boolean => decideIn(situation).decision.hand_in;
  for (const code of ['finishing', 'outside-hours', 'price-high', 'not-worth-it', 'quiet-hours'] as const)
    assert.ok(handsIn(SITUATIONS[code]), code);
  for (const code of ['paused-by-owner', 'snoozed', 'on-battery', 'memory-low'] as const)
    assert.ok(!handsIn(SITUATIONS[code]), code);
  assert.ok(!handsIn({ orders: { finish: true, paused: true } }));
});

test('in quiet hours it works a little where that is set', () => {
  const { decision } = decideIn({ settings: { quiet_hours: ['12:00-13:00'], quiet_duty: 0.25 } });
  assert.deepEqual([decision.do, decision.duty, decision.reasons[0].code], ['slow-down', 0.25, 'quiet-hours']);
});

test('of several graphics processors each is judged by itself', () => {
  const card = (index: number, foreign_percent: number, temperature_c: number) => ({
    index,
    foreign_percent,
    temperature_c,
  });
  const signals: Partial<Signals> = {
    gpus: { known: [card(0, 0, 40), card(1, 0, 40), card(2, 90, 40), card(3, 0, 95)] },
  };
  const { decision } = decideIn({ signals, settings: { gpus_off: [1], foreign_load_s: 0 } });
  assert.deepEqual([decision.do, decision.gpus], ['run', [0]]);
  assert.deepEqual(
    decision.gpu_reasons.map(({ code }) => code),
    ['gpu-switched-off', 'foreign-gpu-load', 'too-hot'],
  );
  assert.deepEqual(decideIn({ settings: { gpu: 'never' } }).decision.gpus, []);
  const unheard = decideIn({ signals: gpu(null), settings: { foreign_load_s: 0 } }).decision;
  assert.deepEqual(
    [unheard.gpus, unheard.gpu_reasons],
    [[0], []],
    'load that nobody can tell from its own holds nothing up',
  );
  assert.deepEqual(decideIn({ settings: { gpu: 'always' }, signals: { idle_ms: { known: 0 } } }).decision.gpus, [0]);
});

test('limits that were not passed hold nothing up: at the very value it works', () => {
  const at = (signals: Partial<Signals>, settings = {}): string => decideIn({ signals, settings }).decision.do;
  assert.equal(at({ battery_temperature_c: { known: 40 } }), 'run');
  assert.equal(at({}, { tariff: NIGHT_TARIFF, most_price_per_kwh: 0.4 }), 'run');
  assert.equal(at({}, { cores_idle: 4, cores_in_use: 4 }), 'run');
});

test('it works where that is worth it, and does not flap where it hardly is', () => {
  const made = history(GATE, [
    { after_ms: 1000, signals: worth(10_000, 10_000) }, // enough, on the way down
    { after_ms: 1000, signals: worth(9999, 10_000) },
    { after_ms: 60_000, signals: worth(10_199, 10_000) }, // not clearly more
    { after_ms: 1000, signals: worth(10_201, 10_000) },
    { after_ms: 59_999, signals: worth(10_201, 10_000) },
    { after_ms: 1, signals: worth(10_201, 10_000) },
    { after_ms: 1, signals: worth(10_000, 10_000) },
    { after_ms: 1, signals: { worth: { unknown: 'nobody has said what it takes' } } },
    { after_ms: 1, signals: worth(10_000, 10_000) },
    { after_ms: 1, signals: worth(10_801, 10_000, true) },
    { after_ms: 1, signals: worth(10_799, 10_000, true) }, // the day could end below zero
    { after_ms: 1, signals: worth(10_999, 10_000, true) },
    { after_ms: 60_000, signals: worth(11_001, 10_000, true) },
    { after_ms: 60_000, signals: worth(11_001, 10_000, true) },
  ]);
  assert.equal(made.map((one) => one.do[0]).join(''), 'rpppprrprrpppr');
  const at = (signals: Partial<Signals>, settings: object = GATE): string =>
    decideIn({ signals, settings }).decision.do;
  assert.equal(at(worth(null, 10_000)), 'run'); // it is to find out
  assert.equal(at(worth(0, -5000)), 'run'); // who uses electricity is paid for it
  assert.equal(at(worth(0, 0, true)), 'run');
  assert.equal(at(worth(0, 1)), 'pause');
  assert.equal(at(worth(0, 10_000), { ...GATE, only_if_worth: false }), 'run');
});

test('a price that is in no table holds up whoever has a most', () => {
  const settings = { tariff_days: [{ day: '2026-11-24', prices: Array(24).fill(0.1) }], most_price_per_kwh: 0.3 };
  const { reasons } = decideIn({ settings }).decision;
  assert.deepEqual(reasons, [{ code: 'cannot-tell', message: 'what a kWh costs at wed 12:00 is not in the tariff' }]);
});

test('what no rule is about may be unknown', () => {
  const signals: Partial<Signals> = { temperature_c: { unknown: 'no answer' }, power: { unknown: 'no answer' } };
  assert.equal(decideIn({ signals, settings: { hottest_c: null, on_battery: true } }).decision.do, 'run');
});

test('a battery that was hot rests five minutes', () => {
  const heat = (known: number): Situation => ({ signals: { battery_temperature_c: { known } } });
  const made = history(
    {},
    [41, 40, 40].map((one) => ({ after_ms: 299_999, ...heat(one) })),
  );
  assert.deepEqual(
    made.map((one) => one.do),
    ['pause', 'pause', 'pause'],
  );
  assert.equal(
    history(
      {},
      [41, 40, 40].map((one) => ({ after_ms: 300_000, ...heat(one) })),
    )[2].do,
    'run',
  );
});

test('the owner who uses the device has other limits than one who does not', () => {
  const used = { idle_ms: { known: 0 } };
  const load: Partial<Signals> = { foreign_cpu_percent: { known: 30 } };
  const settings = { foreign_load_s: 0 };
  assert.equal(decideIn({ signals: load, settings }).decision.do, 'run');
  assert.equal(decideIn({ signals: { ...load, ...used }, settings }).decision.reasons[0].code, 'foreign-cpu-load');
  const memory: Partial<Signals> = { memory: { known: { total_bytes: 8e9, available_bytes: 2e9, own_bytes: 5e9 } } };
  assert.equal(decideIn({ signals: memory }).decision.do, 'run');
  assert.equal(decideIn({ signals: { ...memory, ...used } }).decision.reasons[0].code, 'memory-over-limit');
});

test("others' load that stays just below the limit does not end the pause", () => {
  const load = (known: number): Situation => ({ signals: { foreign_cpu_percent: { known } } });
  const made = history(
    { foreign_cpu_percent_idle: 25, foreign_load_s: 0 },
    [26, 24, 24, 20, 20].map((one) => ({ after_ms: 10_000, ...load(one) })),
  );
  assert.deepEqual(
    made.map((one) => one.do),
    ['pause', 'pause', 'pause', 'pause', 'run'],
  );
});

test('what was about to end begins anew where nothing was seen for a while', () => {
  const heat = (temperature_c: Signals['temperature_c']): Situation => ({ signals: { temperature_c } });
  const seen = [{ known: 91 }, { known: 70 }, { unknown: 'no answer' }, { known: 70 }, { known: 70 }, { known: 70 }];
  const made = history(
    {},
    seen.map((one) => ({ after_ms: 30_000, ...heat(one as Signals['temperature_c']) })),
  );
  assert.deepEqual(
    made.map((one) => one.do),
    ['pause', 'pause', 'pause', 'pause', 'pause', 'run'],
  );
});

test('in quiet hours it never works more than otherwise', () => {
  const settings = { quiet_hours: ['12:00-13:00'], quiet_duty: 0.25, duty_idle: 0.1 };
  assert.equal(decideIn({ settings }).decision.duty, 0.1);
});
