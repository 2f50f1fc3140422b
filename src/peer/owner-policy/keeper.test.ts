// A process within its owner's rules: started, slowed, stopped at once, ended for its memory, and begun again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { handClock } from '../../protocol/testing/hand-clock.ts';
import type { Orders, Unreadable } from './decide.ts';
import { type End, KEEPER_LIMITS, type KeeperOptions, type Kept, openKeeper } from './keeper.ts';
import { type DeviceSettings, readDeviceSettings } from './settings.ts';
import type { Signals } from './signals.ts';
import { CALM, NO_ORDERS } from './testing/calm.ts';

const USED: Partial<Signals> = { idle_ms: { known: 0 } };

/** A keeper whose processes only write down what they are told. */
function kept(settings: object = {}, at: Partial<Pick<KeeperOptions, 'threads' | 'duty' | 'cores' | 'gpu'>> = {}) {
  const clock = handClock(Date.UTC(2026, 0, 1));
  const world = {
    signals: CALM as Signals,
    settings: readDeviceSettings({ time_zone: 'UTC', ...settings }) as DeviceSettings | Unreadable,
    orders: NO_ORDERS as Orders,
  };
  const heard: string[] = [];
  const decisions: string[] = [];
  const strikes: (number | null)[] = [];
  let end = (_: End): void => {};
  let gpu: ReturnType<Kept['gpu']> = 'maybe';
  const start = (): Kept => {
    heard.push('start');
    const { promise: ended, resolve } = Promise.withResolvers<End>();
    end = resolve;
    return {
      go: (duty, gpu_rests) => heard.push(gpu_rests === null ? `go ${duty}` : `go ${duty}: ${gpu_rests}`),
      stop: (why) => heard.push(why ? `stop ${why.code}: ${why.message}` : 'stop'),
      leave: () => heard.push('leave'),
      freeGpu: () => heard.push('free GPU'),
      leaveAfterWork: () => heard.push('leave after work'),
      gpu: () => gpu,
      kill: () => {
        heard.push('kill');
        resolve({ finished: false, code: 137 });
      },
      ended,
    };
  };
  const keeper = openKeeper({
    ...{ clock, cores: 8, threads: 1, duty: 1, gpu: null, ...at, start },
    ...{ signals: () => world.signals, settings: () => world.settings, orders: () => world.orders },
    onDecision: ({ do: what, reasons, gpu_reasons }) =>
      decisions.push([what, ...[...reasons, ...gpu_reasons].map(({ code }) => code)].join(' ')),
    onStruck: (_, again_ms) => strikes.push(again_ms),
  });
  /** What was said to processes since the last call. */
  const said = (): string[] => heard.splice(0);
  const see = (signals: Partial<Signals>): string[] => {
    world.signals = { ...CALM, ...signals };
    keeper.look();
    return said();
  };
  keeper.look();
  return {
    ...{ clock, world, keeper, said, see, decisions },
    strikes,
    end: (finished: boolean, code = 0, signal: string | null = null) => end({ finished, code, signal }),
    tellGpu: (told: typeof gpu) => {
      gpu = told;
    },
  };
}

test('on a calm device it starts and works', () => {
  const { said, see, decisions } = kept();
  assert.deepEqual(said(), ['start', 'go 1']);
  assert.deepEqual(see({}), []); // said once
  assert.deepEqual(decisions, ['run']);
});

test('it is not even started while a rule forbids it, and started when that is over', () => {
  const { said, world, keeper, decisions } = kept({ least_free_disk_gb: 1000 });
  assert.deepEqual([said(), decisions], [[], ['pause disk-low']]);
  world.settings = readDeviceSettings({});
  keeper.look();
  assert.deepEqual(said(), ['start', 'go 1']);
});

test('it stops within the call that sees the owner, and goes on when the owner has gone', () => {
  const { said, see, decisions } = kept({ cores_in_use: 0 });
  said();
  assert.deepEqual(see(USED), ['stop']);
  assert.deepEqual(see(USED), []);
  assert.deepEqual(see({}), ['go 1']);
  assert.deepEqual(decisions, ['run', 'pause in-use', 'run']);
});

test('others learn why it pauses only where its owner shares that, and never what was seen', () => {
  const { said, see } = kept({ cores_in_use: 0, share_reason: true });
  said();
  assert.deepEqual(see(USED), ['stop in-use: its owner uses it']);
});

test('half of the cores is half of the time of as many threads, of the part that was asked for', () => {
  const parts = (threads: number, duty: number): string[] => {
    const { said, see } = kept({}, { threads, duty });
    return [...said().slice(1), ...see(USED)];
  };
  assert.deepEqual(parts(7, 1), ['go 1', `go ${4 / 7}`]);
  assert.deepEqual(parts(8, 0.5), ['go 0.4375', 'go 0.25']);
  assert.deepEqual(parts(1, 1), ['go 1']);
});

test('after half a minute of a pause the memory is given back, and the process begins anew later', async () => {
  const { said, see, clock } = kept({ cores_in_use: 0, keep_memory_s: 30 });
  said();
  assert.deepEqual(see(USED), ['stop']);
  await clock.pass(29_000);
  assert.deepEqual(said(), []);
  await clock.pass(1500);
  assert.deepEqual(said(), ['kill']);
  await clock.pass(60_000);
  assert.deepEqual(said(), []);
  assert.deepEqual(see({}), ['start', 'go 1']);
});

test('where memory is short it is given back at once', () => {
  const { said, see } = kept();
  said();
  const memory = { memory: { known: { total_bytes: 8e9, available_bytes: 1e8, own_bytes: 1e9 } } };
  assert.deepEqual(see(memory), ['stop', 'kill']);
});

test('before a pause that was to be foreseen it hands in; then it is gone, and comes back', async () => {
  const { said, world, keeper, end, clock } = kept();
  said();
  world.orders = { ...NO_ORDERS, finish: true };
  keeper.look();
  assert.deepEqual(said(), ['leave']);
  end(false);
  await clock.pass(10_000);
  assert.deepEqual(said(), []);
  world.orders = NO_ORDERS;
  keeper.look();
  assert.deepEqual(said(), ['start', 'go 1']);
});

test('who takes too long to hand in is ended, and one whose owner comes meanwhile is stopped', async () => {
  const slow = kept();
  slow.world.orders = { ...NO_ORDERS, finish: true };
  slow.keeper.look();
  await slow.clock.pass(KEEPER_LIMITS.leave_ms - 1000);
  assert.deepEqual(slow.said(), ['start', 'go 1', 'leave']);
  await slow.clock.pass(2000);
  assert.deepEqual(slow.said(), ['kill']);
  const seen = kept({ cores_in_use: 0 });
  seen.world.orders = { ...NO_ORDERS, finish: true };
  seen.keeper.look();
  seen.said();
  assert.deepEqual(seen.see(USED), ['stop']);
});

test('one that is still handing in when the rules allow work again is left to it, and then begins anew', async () => {
  const { said, world, keeper, end, clock } = kept();
  world.orders = { ...NO_ORDERS, finish: true };
  keeper.look();
  world.orders = NO_ORDERS;
  keeper.look();
  said();
  end(false);
  await clock.pass(1000);
  assert.deepEqual(said(), ['start', 'go 1']);
});

test('it ends with the run, with a failure, and by its owner: also out of a pause', async () => {
  const finished = kept();
  finished.end(true);
  assert.equal(await finished.keeper.ended, 0);
  const failed = kept();
  failed.end(false, 70);
  assert.equal(await failed.keeper.ended, 70);
  const over = kept(); // the run ended while it handed in
  over.world.orders = { ...NO_ORDERS, finish: true };
  over.keeper.look();
  over.end(true);
  assert.equal(await over.keeper.ended, 0);
  const stopped = kept({ cores_in_use: 0 });
  stopped.see(USED);
  stopped.keeper.leave();
  stopped.keeper.leave();
  assert.deepEqual(stopped.said(), ['go 1', 'leave']);
  stopped.end(false);
  assert.equal(await stopped.keeper.ended, 0);
  const none = kept({ least_free_disk_gb: 1000 });
  none.keeper.leave();
  assert.equal(await none.keeper.ended, 0);
});

test('settings that cannot be read stop it, and mended ones let it go on', () => {
  const { said, world, keeper, decisions } = kept();
  said();
  const { settings } = world;
  world.settings = { unreadable: 'settings.json is no JSON' };
  keeper.look();
  assert.deepEqual(said(), ['stop']);
  world.settings = settings;
  keeper.look();
  assert.deepEqual(said(), ['go 1']);
  assert.deepEqual(decisions, ['run', 'pause settings-unreadable', 'run']);
});

test('settings and orders are looked at again without being asked to', async () => {
  const { said, world, clock } = kept();
  said();
  world.orders = { ...NO_ORDERS, paused: true };
  await clock.pass(KEEPER_LIMITS.look_every_ms);
  assert.deepEqual(said(), ['stop']);
});

const rests = (why: string): RegExp => new RegExp(`^go 1: the GPU rests: .*\\(${why}\\)$`);

test('on a graphics processor it makes room for its owner, goes on without, and comes back after the work at hand', async () => {
  const { said, see, end, clock, decisions } = kept({}, { gpu: 'any' });
  assert.deepEqual(said(), ['start', 'go 1']);
  assert.deepEqual(see(USED), ['free GPU']);
  assert.deepEqual(see(USED), []);
  end(false);
  await clock.pass(0);
  const [start, go, ...more] = said();
  assert.match(go, rests('gpu-in-use'));
  assert.deepEqual([start, more], ['start', []]);
  assert.deepEqual(see({}), ['leave after work', 'go 1']);
  assert.deepEqual(see({}), []);
  end(false);
  await clock.pass(0);
  assert.deepEqual(said(), ['start', 'go 1']);
  assert.deepEqual(decisions, ['run', 'slow-down in-use gpu-in-use', 'run']);
});

test('others’ load, heat, hours without noise and its owner’s word take a graphics processor away as well', () => {
  const card = (foreign_percent: number, temperature_c = 40): Partial<Signals> => ({
    gpus: { known: [{ index: 0, foreign_percent, temperature_c }] },
  });
  for (const [settings, signals] of [
    [{ foreign_load_s: 0 }, card(50)],
    [{}, card(0, 95)],
    [{}, { gpus: { unknown: 'nvidia-smi did not answer' } }],
  ] as const) {
    const { said, see } = kept(settings, { gpu: 'any' });
    said();
    assert.deepEqual(see(signals), ['free GPU'], JSON.stringify(signals));
  }
  for (const settings of [{ gpus_off: [0] }, { gpu: 'never' }, { quiet_hours: ['00:00-24:00'], quiet_duty: 0.5 }]) {
    const { said, world, keeper } = kept({}, { gpu: 'any' });
    said();
    world.settings = readDeviceSettings({ time_zone: 'UTC', ...settings });
    keeper.look();
    assert.deepEqual(said(), ['free GPU'], JSON.stringify(settings));
  }
});

test('a pause that leaves the graphics processor to its owner ends what holds its memory, another one keeps it', () => {
  const { said, see } = kept({ cores_in_use: 0 }, { gpu: 'any' });
  said();
  assert.deepEqual(see(USED), ['stop', 'kill']);
  const snoozed = kept({}, { gpu: 'any' });
  snoozed.said();
  snoozed.world.orders = { ...NO_ORDERS, paused: true };
  snoozed.keeper.look();
  assert.deepEqual(snoozed.said(), ['stop']);
  assert.deepEqual(snoozed.see(USED), ['kill']);
  const foreseen = kept({}, { gpu: 'any' });
  foreseen.said();
  foreseen.world.orders = { ...NO_ORDERS, finish: true };
  assert.deepEqual(foreseen.see(USED), ['free GPU']);
});

test('of several the one that it computes on counts', () => {
  const cards = (busy: number): Partial<Signals> => ({
    gpus: { known: [0, 1].map((index) => ({ index, foreign_percent: index === busy ? 90 : 0, temperature_c: 40 })) },
  });
  const second = kept({ foreign_load_s: 0 }, { gpu: 1 });
  second.said();
  assert.deepEqual(second.see(cards(0)), []);
  assert.deepEqual(second.decisions, ['run']);
  assert.deepEqual(second.see(cards(1)), ['free GPU']);
  const any = kept({ foreign_load_s: 0 }, { gpu: 'any' });
  any.said();
  assert.deepEqual(any.see(cards(1)), ['free GPU']);
});

test('what has chosen the CPU is not disturbed for a graphics processor, and hears nothing of it', () => {
  const { said, see, tellGpu, decisions } = kept({}, { gpu: 'any' });
  said();
  tellGpu('none');
  const [go, ...more] = see(USED); // for what it may come to choose later
  assert.match(go, rests('gpu-in-use'));
  assert.deepEqual([more, see({})], [[], ['go 1']]);
  assert.deepEqual(decisions, ['run', 'slow-down in-use', 'run']);
});

test('one whose graphics processor fails goes on without it, and does not try it again', async () => {
  const { said, see, end, tellGpu, clock } = kept({}, { gpu: 'any' });
  said();
  tellGpu({ failed: 'the GPU failed: the driver crashed' });
  end(false, 0);
  await clock.pass(0);
  assert.deepEqual(said(), ['start', 'go 1: the GPU failed: the driver crashed']);
  assert.deepEqual([see(USED), see({})], [[], []]);
});

test('one that the system ends starts again, later each time, and stays away when that does not help', async () => {
  const { said, end, clock, strikes, keeper } = kept();
  said();
  for (const rest_ms of [5000, 10_000, 20_000, 40_000]) {
    end(false, 1, 'SIGKILL');
    await clock.pass(rest_ms - 1000);
    assert.deepEqual(said(), []);
    await clock.pass(1500);
    assert.deepEqual(said(), ['start', 'go 1']);
  }
  end(false, 1, 'SIGSEGV');
  assert.equal(await keeper.ended, 1);
  assert.deepEqual(strikes, [5000, 10_000, 20_000, 40_000, null]);
});

test('ten minutes of work make a new row of what the system ends', async () => {
  const { end, clock, strikes } = kept();
  for (const worked_ms of [1000, KEEPER_LIMITS.good_ms, 1000]) {
    await clock.pass(worked_ms);
    end(false, 1, 'SIGKILL');
    await clock.pass(30_000);
  }
  assert.deepEqual(strikes, [5000, 5000, 10_000]);
});

test('one that a person ends, or that tells a failure, does not start again', async () => {
  for (const signal of ['SIGTERM', 'SIGINT', null]) {
    const { said, end, keeper, strikes } = kept();
    said();
    end(false, 1, signal);
    assert.equal(await keeper.ended, 1);
    assert.deepEqual([said(), strikes], [[], []]);
  }
});
