// Runs that share a device get their parts of its time, one at a time, whatever their steps and rounds are.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AnyGame, Device } from '../games/game.ts';
import { fired, sleep } from '../protocol/clock.ts';
import { handClock } from '../protocol/testing/hand-clock.ts';
import { openThrottle } from './policy.ts';
import { hadOnReturn, nextTurn, openTurns, TURN_LIMITS, type Turn } from './turns.ts';

const MINUTES_MS = 60_000;

/** A run on a virtual device: rounds of some length with pauses between them, steps of some length. */
interface Course {
  readonly share: number;
  readonly step_ms: number;
  readonly round_ms: number;
  readonly pause_ms: number;
  readonly begins_ms?: number;
}

/** Plays all runs until the time is over. @returns how long each has computed; fails where two compute at once */
async function play(courses: readonly Course[], time_ms: number, duty = 1) {
  const clock = handClock();
  const throttle = openThrottle(duty, clock);
  const turns = openTurns(
    courses.map(({ share }) => share),
    throttle,
    clock,
  );
  let computing = 0;
  const worked = courses.map(() => 0);
  const step = async (i: number, length_ms: number): Promise<void> => {
    assert.equal(++computing, 1, 'two compute at once');
    await sleep(clock, length_ms);
    computing--;
    worked[i] += length_ms;
  };
  const life = async (turn: Turn, i: number): Promise<void> => {
    const { step_ms, round_ms, pause_ms, begins_ms = 0 } = courses[i];
    await sleep(clock, begins_ms);
    const game = turn.inTurn(gameThat((signal) => workFor(turn, () => step(i, step_ms), signal)));
    while (clock.elapsed_ms() < time_ms) {
      const over = new AbortController();
      clock.setTimeout(() => over.abort(), round_ms);
      await Promise.race([turn.throttle.rested(), fired(over.signal)]);
      await game.perform(null, {} as Device, over.signal);
      await fired(over.signal);
      await sleep(clock, pause_ms);
    }
  };
  await clock.run(Promise.race([sleep(clock, time_ms), Promise.all(turns.map(life))]));
  return { worked, turns, throttle, clock };
}

/** As games do: steps until the signal fires, and no rest outlasts the round (stepping.ts). */
async function workFor(turn: Turn, step: () => Promise<void>, signal: AbortSignal): Promise<void> {
  for (let steps = 1; !signal.aborted; steps++) {
    await step();
    await Promise.race([turn.throttle.progress({ amount: steps, numbers: {} }), fired(signal)]);
  }
}

const gameThat = (perform: (signal: AbortSignal) => Promise<void>): AnyGame =>
  ({
    perform: async (_task: unknown, _device: Device, signal: AbortSignal) => {
      await perform(signal);
      return null;
    },
  }) as unknown as AnyGame;

test('whose turn it is: a case a line', () => {
  const cases: [next: number | null, ...sharers: [share: number, had_ms: number, wants: boolean][]][] = [
    [null],
    [null, [0.7, 0, false], [0.3, 0, false]],
    [0, [0.7, 0, true], [0.3, 0, true]],
    [1, [0.7, 10, true], [0.3, 0, true]],
    [0, [0.7, 10, true], [0.3, 5, true]],
    [1, [0.7, 0, false], [0.3, 999, true]],
    [2, [0.2, 100, true], [0.2, 90, true], [0.6, 200, true]],
  ];
  for (const [next, ...sharers] of cases) {
    const read = sharers.map(([share, had_ms, wants]) => ({ share, had_ms, wants }));
    assert.equal(nextTurn(read), next, JSON.stringify(sharers));
  }
});

test('who had nothing to do for an hour is owed a minute, not an hour', () => {
  const back = hadOnReturn({ share: 0.5, had_ms: 0, wants: false }, 60 * MINUTES_MS);
  assert.equal(back, 30 * MINUTES_MS - TURN_LIMITS.owed_ms);
  assert.equal(hadOnReturn({ share: 0.5, had_ms: 40 * MINUTES_MS, wants: false }, 60 * MINUTES_MS), 40 * MINUTES_MS);
});

test('shares are held within 5% over ten minutes, for any shares and steps, and one computes at a time', async () => {
  const course = fc.record({
    share: fc.integer({ min: 15, max: 100 }),
    step_ms: fc.integer({ min: 500, max: 3000 }),
    round_ms: fc.constant(1e9),
    pause_ms: fc.constant(0),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(course, { minLength: 2, maxLength: 3 }),
      fc.constantFrom(1, 0.5),
      async (courses, duty) => {
        const time_ms = 10 * MINUTES_MS;
        const { worked } = await play(courses, time_ms, duty);
        const all = courses.reduce((sum, { share }) => sum + share, 0);
        const done = worked.reduce((sum, one) => sum + one, 0);
        assert.ok(Math.abs(done / (duty * time_ms) - 1) < 0.05, `worked ${done} of ${duty * time_ms}`);
        for (const [i, { share }] of courses.entries()) {
          assert.ok(
            Math.abs(worked[i] / done - share / all) < 0.05,
            `${worked} for ${courses.map((one) => one.share)}`,
          );
        }
      },
    ),
    { numRuns: 8 },
  );
});

for (const duty of [1, 0.5]) {
  test(`70 and 30 within 5% of each at a duty of ${duty}, also where rounds end and pause`, async () => {
    const rounds = { step_ms: 700, round_ms: 20_000, pause_ms: 1000 };
    const { worked } = await play(
      [
        { share: 70, ...rounds },
        { share: 30, ...rounds, round_ms: 3100, pause_ms: 100, step_ms: 900 },
      ],
      10 * MINUTES_MS,
      duty,
    );
    const all = worked[0] + worked[1];
    const part = worked[0] / all;
    assert.ok(Math.abs(part / 0.7 - 1) < 0.05 && Math.abs((1 - part) / 0.3 - 1) < 0.05, `${part}`);
    assert.ok(all < duty * 10 * MINUTES_MS * 1.02, `${all}`);
  });
}

test('a turn lasts for two seconds of short steps', async () => {
  const clock = handClock();
  const turns = openTurns([1, 1], openThrottle(1, clock), clock);
  const over = new AbortController();
  clock.setTimeout(() => over.abort(), 20_000);
  const order: number[] = [];
  const step = async (i: number): Promise<void> => {
    await sleep(clock, 100);
    if (order.at(-1) !== i) order.push(i);
  };
  const lives = turns.map((turn, i) =>
    turn.inTurn(gameThat((signal) => workFor(turn, () => step(i), signal))).perform(null, {} as Device, over.signal),
  );
  await clock.run(Promise.all(lives));
  assert.deepEqual(order.slice(0, 9), [0, 1, 0, 1, 0, 1, 0, 1, 0]);
  assert.ok(order.length <= 11, `${order.length} turns in 20 s`);
});

test('time before a check is no work: nothing is owed for it', async () => {
  const clock = handClock();
  const [one] = openTurns([1, 1], openThrottle(0.5, clock), clock);
  await clock.pass(60 * MINUTES_MS);
  const check = async (): Promise<null> => {
    await sleep(clock, 1000);
    await one.throttle.progress({ amount: 1, numbers: {} });
    return null;
  };
  const begun_ms = clock.elapsed_ms();
  const judge = one.inTurn({ check } as unknown as AnyGame);
  await clock.run(judge.check(null, {} as never, {} as Device, { time_ms: 10_000 } as never) as Promise<unknown>);
  assert.equal(clock.elapsed_ms() - begun_ms, 2000);
});

test('time that one run has no use for is the others’, and none waits for one that is away', async () => {
  const busy = { step_ms: 1000, round_ms: 1e9, pause_ms: 0 };
  const { worked } = await play(
    [
      { share: 50, ...busy, round_ms: 10_000, pause_ms: 90_000 },
      { share: 50, ...busy },
    ],
    10 * MINUTES_MS,
  );
  const all = worked[0] + worked[1];
  assert.ok(all > 9.5 * MINUTES_MS, `${worked}`);
  // What it is owed it gets: nearly all of its rounds.
  assert.ok(worked[0] > 45_000, `${worked}`);
});

test('a run that comes late does not make up for hours: the others get their part again after a minute or two', async () => {
  const busy = { share: 50, step_ms: 1000, round_ms: 1e9, pause_ms: 0 };
  const { worked } = await play([busy, { ...busy, begins_ms: 8 * MINUTES_MS }], 12 * MINUTES_MS);
  assert.ok(worked[1] > 2 * MINUTES_MS && worked[1] < 3.2 * MINUTES_MS, `${worked}`);
});

test('one run alone has all of the time, and waiting is time away, not slowness', async () => {
  const busy = { step_ms: 1000, round_ms: 1e9, pause_ms: 0 };
  const alone = await play([{ share: 5, ...busy }], MINUTES_MS);
  assert.ok(alone.worked[0] >= 59_000, `${alone.worked}`);
  const { turns, worked, clock } = await play(
    [0, 1].map(() => ({ share: 1, ...busy })),
    2 * MINUTES_MS,
  );
  for (const [i, { throttle, computed_ms }] of turns.entries()) {
    assert.ok(
      Math.abs(throttle.away_ms() + worked[i] - clock.elapsed_ms()) < 2100,
      `${throttle.away_ms()} ${worked[i]}`,
    );
    assert.ok(Math.abs(computed_ms() - worked[i]) < 1100);
  }
});

test('a check waits for its turn, and has that much less time', async () => {
  const clock = handClock();
  const [one, two] = openTurns([1, 1], openThrottle(1, clock), clock);
  const over = new AbortController();
  const busy = one
    .inTurn(gameThat((signal) => workFor(one, () => sleep(clock, 3000), signal)))
    .perform(null, {} as Device, over.signal);
  let time_ms = 0;
  const judge = two.inTurn({
    check: async (_task: unknown, _claim: unknown, _device: Device, judging: { time_ms: number }) => {
      time_ms = judging.time_ms;
      return null;
    },
  } as unknown as AnyGame);
  await clock.run(judge.check(null, {} as never, {} as Device, { time_ms: 10_000 } as never) as Promise<unknown>);
  assert.equal(time_ms, 7000);
  over.abort();
  await clock.run(busy as Promise<unknown>);
});
