// A device that may work for any run of a hub goes on to the next, waits where there is none, and tries nothing over and over.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GameError } from '../games/errors.ts';
import { fired } from '../protocol/clock.ts';
import type { RunStatus } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { handClock } from '../protocol/testing/hand-clock.ts';
import { ANY_RUN_LIMITS, joinAnyRun } from './any-run.ts';
import type { PeerNews } from './role.ts';

const MINUTE_MS = 60_000;
type Phase = RunStatus['phase'];

/** A hub whose runs the test moves, and a device that may work for any of them. */
function device({ wanted = null }: { wanted?: string | null } = {}) {
  const clock = handClock();
  const phases = new Map<string, Phase>();
  const joined: string[] = [];
  const left: string[] = [];
  const said: string[] = [];
  const leaving = new AbortController();
  const world = {
    /** What happens when it joins; by default it stays until somebody ends it. */
    join: async (_run: string): Promise<'finished' | null> => null,
    away: false,
    taken: '',
  };
  let end: (how: 'finished') => void = () => {};
  let hear: (news: PeerNews) => void = () => {};
  const over = joinAnyRun({
    ...{ clock, wanted, role: 'worker', device: 'ada', signal: leaving.signal, worked_ms: () => null },
    isTaken: (run) => run === world.taken,
    async runs() {
      if (world.away) throw new PeerError('hub-unreachable', 'no hub answers');
      return [...phases].map(([run, phase]) => {
        return {
          run,
          name: `the ${run}`,
          phase,
          peers: [],
          workers_needed: 1,
          round: 1,
          attempt: 0,
        } as unknown as RunStatus;
      });
    },
    async join(run, signal, onNews) {
      joined.push(run);
      const at_once = await world.join(run);
      if (at_once) return at_once;
      onNews({ type: 'joined', peer: 'p', run, run_name: run, unit: 'tokens' });
      hear = onNews;
      return Promise.race([
        fired(signal).then(() => {
          left.push(run);
          return 'left' as const;
        }),
        new Promise<'finished'>((resolve) => {
          end = resolve;
        }),
      ]);
    },
    onNews: (news) => {
      if (news.type === 'obstacle') said.push(news.obstacle?.code ?? 'nothing');
      if (news.type === 'away' || news.type === 'problem') said.push(news.type);
    },
  });
  over.catch(() => {});
  const finish = (run: string): void => {
    phases.set(run, 'finished');
    end('finished');
  };
  const pauseOf = (run: string, isPaused: boolean): void => {
    phases.set(run, isPaused ? 'paused' : 'working');
    hear({ type: 'obstacle', obstacle: isPaused ? { code: 'run-paused', message: 'paused' } : null });
  };
  const leave = async (): Promise<'finished' | 'left'> => {
    leaving.abort();
    return clock.run(over);
  };
  return { clock, phases, joined, left, said, world, over, finish, pauseOf, leave };
}

test('when a run ends it goes on to the next, and waits when there is none', async () => {
  const { clock, phases, joined, said, finish, leave } = device();
  phases.set('a', 'working');
  await clock.pass(1000 + ANY_RUN_LIMITS.wait_ms);
  phases.set('b', 'gathering');
  assert.deepEqual(joined, ['a']);
  finish('a');
  await clock.pass(MINUTE_MS);
  assert.deepEqual(joined, ['a', 'b']);
  finish('b');
  await clock.pass(10 * MINUTE_MS);
  assert.deepEqual(joined, ['a', 'b']);
  assert.ok(said.includes('no-open-run'));
  phases.set('c', 'working');
  await clock.pass(ANY_RUN_LIMITS.longest_wait_ms);
  assert.deepEqual(joined, ['a', 'b', 'c']);
  assert.equal(await leave(), 'left');
});

test('a run that takes no more devices is tried again seldom, and others meanwhile', async () => {
  const { clock, phases, joined, world, leave } = device();
  world.join = async (run) => {
    if (run === 'full') throw new PeerError('refused', 'too many', { refusal: 'too-many-peers' });
    return null;
  };
  phases.set('full', 'working');
  await clock.pass(60 * MINUTE_MS);
  assert.ok(joined.length >= 3 && joined.length <= 4, `${joined.length} in an hour`);
  phases.set('b', 'working');
  await clock.pass(10 * MINUTE_MS);
  assert.equal(joined.at(-1), 'b');
  assert.equal(await leave(), 'left');
});

test('a run whose game cannot be had is tried once; what would be wrong in every run ends it', async () => {
  const { clock, phases, joined, said, world, over } = device();
  world.join = async (run) => {
    if (run === 'odd') throw new GameError('unknown-game', 'no such game');
    throw new PeerError('no-gpu', 'there is none');
  };
  phases.set('odd', 'working');
  await clock.pass(24 * 60 * MINUTE_MS);
  assert.deepEqual(joined, ['odd']);
  assert.equal(said.filter((what) => what === 'problem').length, 1);
  phases.set('b', 'working');
  await assert.rejects(clock.run(over), { code: 'no-gpu' });
});

test('a hub that is away is asked more and more seldom', async () => {
  const { clock, phases, joined, said, world, leave } = device();
  world.away = true;
  await clock.pass(60 * MINUTE_MS);
  const asked = said.filter((what) => what === 'away').length;
  assert.ok(asked >= 12 && asked <= 20, `asked ${asked} times in an hour`);
  world.away = false;
  phases.set('a', 'working');
  await clock.pass(ANY_RUN_LIMITS.longest_wait_ms);
  assert.deepEqual(joined, ['a']);
  assert.equal(await leave(), 'left');
});

test('a long pause of its run leaves the device to another; a short one, or one with nowhere to go, does not', async () => {
  const { clock, phases, joined, left, pauseOf, leave } = device();
  phases.set('a', 'working');
  await clock.pass(MINUTE_MS);
  pauseOf('a', true);
  await clock.pass(9 * MINUTE_MS);
  pauseOf('a', false);
  phases.set('b', 'paused');
  await clock.pass(9 * MINUTE_MS);
  pauseOf('a', true);
  await clock.pass(35 * MINUTE_MS);
  assert.deepEqual([joined, left], [['a'], []]); // there was nothing else
  phases.set('b', 'working');
  await clock.pass(11 * MINUTE_MS);
  assert.deepEqual(joined, ['a', 'b']);
  phases.set('a', 'working');
  await clock.pass(60 * MINUTE_MS);
  assert.deepEqual(joined, ['a', 'b']); // it does not go back and forth
  assert.equal(await leave(), 'left');
});

test('what another part of this device is in is not joined', async () => {
  const { clock, phases, joined, world, leave } = device();
  world.taken = 'a';
  phases.set('a', 'working');
  await clock.pass(MINUTE_MS);
  phases.set('b', 'working');
  await clock.pass(5 * MINUTE_MS);
  assert.deepEqual(joined, ['b']);
  assert.equal(await leave(), 'left');
});

test('where one run is meant, its end is the end, and a pause is waited for', async () => {
  const { clock, phases, joined, finish, pauseOf, over } = device({ wanted: 'the a' });
  phases.set('a', 'working');
  phases.set('b', 'working');
  await clock.pass(MINUTE_MS);
  pauseOf('a', true);
  await clock.pass(60 * MINUTE_MS);
  assert.deepEqual(joined, ['a']);
  finish('a');
  assert.equal(await clock.run(over), 'finished');
});

test('whoever wants the device back while it waits has it at once', async () => {
  const { clock, joined, leave } = device();
  await clock.pass(MINUTE_MS);
  const before_ms = clock.elapsed_ms();
  assert.equal(await leave(), 'left');
  assert.deepEqual([joined, clock.elapsed_ms() - before_ms], [[], 0]);
});
