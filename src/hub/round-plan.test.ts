// What a hub does next for a run, and when it looks again: a case a line, on histories made by hand.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  ALICE,
  BOB,
  created,
  History,
  HUB,
  joined,
  merged,
  OWNER,
  RUN,
  seal,
  tick,
  VERA,
  work,
} from '../core/testing/example-history.ts';
import { planStep, planWakeUps, TICK_EVERY_MS } from './round-plan.ts';

function story(tell: (history: History) => void): History {
  const history = new History();
  tell(history);
  return history;
}
/** Until the log's time is that, where it goes by the last tick. */
const untilOf =
  ({ state }: History, passed_ms = 0) =>
  (time_ms: number): number =>
    Math.max(0, time_ms - state.time_ms - passed_ms);
const stepOf = (history: History, merge_waits = false) =>
  planStep(history.run, { time_ms: history.state.time_ms, until_ms: untilOf(history) }, merge_waits);
/** @param passed_ms since the last tick */
const wakeUpsOf = (history: History, retry_ms: number | null = null, passed_ms = 0) =>
  planWakeUps(
    [...history.state.runs.values()],
    { time_ms: history.state.time_ms, until_ms: untilOf(history, passed_ms) },
    retry_ms,
  );

const gathering = story((h) => h.happen(OWNER, created(), RUN));
const ready = story((h) => {
  for (const [who, what, id] of [
    [OWNER, created(), RUN],
    [ALICE, joined()],
    [BOB, joined()],
  ] as const)
    h.happen(who, what, id);
  h.happen(HUB, tick(1000));
});
const working = story((h) => h.openRound());
const long = story((h) => h.openRound(true, { round_ms: 60_000 }));
const handedIn = story((h) => {
  h.openRound();
  for (const who of [ALICE, BOB]) h.happen(who, work());
});
const late = story((h) => {
  h.openRound();
  h.happen(ALICE, work());
  h.happen(HUB, tick(2000));
});
const judging = story((h) => {
  h.openRound();
  for (const who of [ALICE, BOB]) h.happen(who, work());
  h.draw();
});
const timed = story((h) => {
  h.openRound();
  for (const who of [ALICE, BOB]) h.happen(who, work());
  h.draw();
  for (const time_ms of [1100, 1300]) h.happen(HUB, tick(time_ms)); // timed at the first, and the grace is over at the second
});
const drawnAfterGrace = story((h) => {
  h.openRound();
  h.happen(ALICE, work());
  for (const time_ms of [2000, 2200]) h.happen(HUB, tick(time_ms));
  h.draw();
});
/** Vera has sealed what she says of both works, and not shown it. */
const sealed = (h: History): void => {
  h.openRound();
  const ids = [ALICE, BOB].map((who) => h.happen(who, work()));
  h.draw();
  for (const id of ids) h.happen(VERA, seal(VERA, id));
};
const revealing = story(sealed);
const timedRevealing = story((h) => {
  sealed(h);
  h.happen(HUB, tick(1100));
});
const merging = story((h) => {
  h.openRound();
  h.judge([ALICE, BOB].map((who) => h.happen(who, work())));
});
const checkpoint = story((h) => {
  h.openRound();
  h.playRound();
  h.openNext();
  const { round, attempt, model } = h.run;
  const ids = [ALICE, BOB].map((who) => h.happen(who, work({ round, attempt, base: model }))).sort();
  h.judge(ids);
  h.happen(HUB, merged(ids, { round, attempt, model: '7'.repeat(64), checkpoint: true }));
});
const stated = story((h) => {
  h.openRound();
  h.playRound();
  h.openNext();
  h.playRound();
});
const fruitless = story((h) => {
  h.openRound();
  for (let again = 0; h.run.idle.opens_ms <= h.state.time_ms; again++) {
    if (again > 0) h.openNext();
    while (h.run.phase !== 'gathering' && h.run.phase !== 'merging') h.happen(HUB, tick(h.state.time_ms + 5000));
    h.happen(HUB, merged([], { round: h.run.round, attempt: h.run.attempt }));
  }
});

const rising = story((h) => {
  h.openRound();
  h.playRound();
  h.run.watches.set(VERA, { best: 1, last: 9, worse_models: 4, round: h.run.round });
});

describe('the next step for a run', () => {
  const cases: [string, string | null, string | null][] = [
    ['waits for workers', stepOf(gathering), null],
    ['opens a round when they are here', stepOf(ready), 'open-round'],
    ['lets them work', stepOf(working), null],
    ['draws the judges when all have handed in', stepOf(handedIn), 'draw'],
    ['waits for who is late', stepOf(late), null],
    ['lets the judges judge', stepOf(judging), null],
    ['merges', stepOf(merging), 'merge'],
    ['does not merge while a failed merge waits', stepOf(merging, true), null],
    ['states who holds a model that is kept whole, before the next round', stepOf(checkpoint), 'state-shares'],
    ['goes on when that is stated', stepOf(stated), 'open-round'],
    ['halts a run whose models only get worse', stepOf(rising), 'halt'],
    ['opens no round again that has brought nothing, before its time', stepOf(fruitless), null],
  ];
  for (const [name, got, expected] of cases) test(name, () => assert.equal(got, expected));
});

describe('the next look and the next tick', () => {
  const cases: [string, ReturnType<typeof wakeUpsOf>, ReturnType<typeof wakeUpsOf>][] = [
    ['an idle hub writes nothing', wakeUpsOf(gathering), { look_ms: null, tick_ms: null }],
    ['a failed merge is tried again', wakeUpsOf(merging, 2500.5), { look_ms: 2501, tick_ms: null }],
    ['never at once for ever', wakeUpsOf(merging, -3), { look_ms: 1, tick_ms: null }],
    ['a tick at the deadline of the work', wakeUpsOf(working), { look_ms: null, tick_ms: 1000 }],
    ['judging is timed from the next tick', wakeUpsOf(judging), { look_ms: null, tick_ms: 1 }],
    ['also where the grace was timed', wakeUpsOf(drawnAfterGrace), { look_ms: null, tick_ms: 1 }],
    ['a tick soon while the grace of who is late goes on', wakeUpsOf(late), { look_ms: null, tick_ms: 100 }],
    ['at least every so often', wakeUpsOf(long), { look_ms: null, tick_ms: TICK_EVERY_MS }],
    ['a look when a fruitless round may open again', wakeUpsOf(fruitless), { look_ms: 2000, tick_ms: null }],
    ['no look for a round that may open now', wakeUpsOf(ready), { look_ms: null, tick_ms: null }],
    ['a tick at the deadline of judging', wakeUpsOf(timed), { look_ms: null, tick_ms: 200 }],
    ['showing verdicts is timed from the next tick', wakeUpsOf(revealing), { look_ms: null, tick_ms: 1 }],
    ['a tick at its deadline', wakeUpsOf(timedRevealing), { look_ms: null, tick_ms: 200 }],
    ['counted from the last tick, however late it is', wakeUpsOf(long, null, 3000), { look_ms: null, tick_ms: 2000 }],
    ['and when it is overdue, at once', wakeUpsOf(long, null, 9000), { look_ms: null, tick_ms: 1 }],
    ['the earlier of two looks', wakeUpsOf(fruitless, 700), { look_ms: 700, tick_ms: null }],
  ];
  for (const [name, got, expected] of cases) test(name, () => assert.deepEqual(got, expected));
});
