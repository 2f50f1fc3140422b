// Of whom the log says that they are here and who are not, the log says so after a while; and of nobody else.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventBody } from '../core/events.ts';
import { nobodyForgotten } from '../core/rounds/forgetting.ts';
import { initialState, type RunState } from '../core/state.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import { openAbsences } from './absences.ts';

/** A run in which some are present, some of them connected, on a clock that is moved by hand. */
function scene(others = 0) {
  const timers = new Map<number, () => void>();
  let serial = 0;
  const clock = {
    setTimeout(run: () => void) {
      timers.set(++serial, run);
      return serial as unknown as Timer;
    },
    clearTimeout: (timer: Timer) => void timers.delete(timer as unknown as number),
  } as unknown as Clock;
  const state = initialState('h');
  const present = (id: string, joins: number) => [id, { id, present: true, joins }] as const;
  const more = Array.from({ length: others }, (_, i) => present(`other ${i}`, 1));
  const peers = new Map([present('ghost', 3), present('ada', 1), ...more]);
  state.runs.set('r', { id: 'r', peers, forgetting: nobodyForgotten() } as unknown as RunState);
  const connected = new Set(['ada']);
  const written: EventBody[] = [];
  const crossed: string[] = [];
  const strangers = { unnamed: 0 };
  const absences = openAbsences({
    unnamed: () => strangers.unnamed,
    ...{ state, clock, after_ms: 5000, isHere: (_run: string, peer: string) => connected.has(peer) },
    write: async (body) => {
      written.push(body);
      if (body.type === 'peer.left') Object.assign(peers.get(body.peer)!, { present: false });
    },
    onCrossed: (_run, peer) => void crossed.push(peer),
  });
  const pass = (): void => {
    const due = [...timers.values()];
    timers.clear();
    for (const run of due) run();
  };
  /** How often the hub looks before it says of somebody that they are gone. */
  const looks = (): number => {
    for (let i = 1; i <= 1000; i++) {
      pass();
      if (written.length > 0) return i;
    }
    throw new Error('nobody is ever gone');
  };
  return { looks, strangers, absences, connected, written, crossed, pass, waiting: () => timers.size, peers };
}
const leave = (peer: string, session: number, reason: string) => ({
  type: 'peer.left',
  version: 1,
  run: 'r',
  peer,
  session,
  reason,
});

test('who joined and has no connection is gone after a while, however often it was said', () => {
  const { absences, written, pass, waiting } = scene();
  for (let i = 0; i < 3; i++) absences.gone('r', 'ghost');
  assert.deepEqual([written, waiting()], [[], 1]);
  pass();
  assert.deepEqual(written, [leave('ghost', 2, 'connection lost')]);
});

test('who is back in time, is here after all, or has said goodbye itself is not', () => {
  const { absences, connected, written, pass, peers } = scene();
  absences.gone('r', 'ghost');
  absences.back('r', 'ghost');
  absences.gone('r', 'ada');
  pass();
  connected.delete('ada');
  absences.gone('r', 'ada');
  Object.assign(peers.get('ada')!, { present: false });
  absences.gone('r', 'nobody');
  absences.gone('no run', 'ada');
  pass();
  assert.deepEqual(written, []);
});

test('who comes back while its leave is written, and was told that it is here, is told otherwise; nobody else is', async () => {
  for (const comes of [true, false]) {
    const { absences, connected, written, crossed, pass } = scene();
    absences.gone('r', 'ghost');
    pass();
    assert.equal(written.length, 1);
    if (comes) connected.add('ghost');
    await new Promise(setImmediate);
    assert.deepEqual(crossed, comes ? ['ghost'] : []);
  }
});

test('after a time in which nobody could be here, all who do not come back are gone', () => {
  const { absences, written, looks, waiting } = scene();
  absences.allGone();
  assert.equal(waiting(), 1, 'one timer for all');
  assert.ok(looks() >= 5);
  assert.deepEqual([written, waiting()], [[leave('ghost', 2, 'hub restarted')], 0]);
});

test('after a restart nobody is written off while others come back, and of many all have longer', () => {
  const { absences, connected, written, pass, looks } = scene(1000);
  const others = Array.from({ length: 1000 }, (_, i) => `other ${i}`);
  absences.allGone();
  for (const other of others.slice(0, 20)) {
    pass();
    connected.add(other);
    absences.back('r', other);
    assert.deepEqual(written, []);
  }
  assert.equal(looks(), 6, 'the whole wait, from the look that finds the last one back');
  assert.equal(written.length, 981);
  const many = scene(10_000);
  many.absences.allGone();
  assert.ok(many.looks() >= 30);
});

test('after a restart nobody who was not missing, or is back already, keeps the others waiting', () => {
  const { absences, pass, written } = scene();
  absences.allGone();
  for (let i = 0; i < 6; i++) {
    absences.back('r', 'ada');
    absences.back('r', 'somebody else');
    pass();
  }
  assert.deepEqual(written, [leave('ghost', 2, 'hub restarted')]);
});

test('after a restart nobody is written off before all connections have said whose they are, unless that takes too long', () => {
  const { absences, strangers, written, pass, looks } = scene();
  absences.allGone();
  strangers.unnamed = 1;
  for (let i = 0; i < 12; i++) pass();
  assert.deepEqual(written, []);
  strangers.unnamed = 0;
  assert.equal(looks(), 1);
  const crowded = scene();
  crowded.strangers.unnamed = 1;
  crowded.absences.allGone();
  assert.ok(crowded.looks() <= 21, 'strangers do not keep the dead alive');
});

test('a hub that goes down says nothing', () => {
  const { absences, written, pass, waiting } = scene();
  absences.gone('r', 'ghost');
  absences.allGone();
  absences.close();
  assert.equal(waiting(), 0);
  absences.gone('r', 'ghost');
  pass();
  assert.deepEqual(written, []);
});
