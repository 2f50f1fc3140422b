// Whom a change of a run concerns: a case a line, and what a watcher makes of a history.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RunState } from '../core/state.ts';
import { sealFor } from '../core/testing/example-events.ts';
import {
  ALICE,
  BOB,
  created,
  History,
  HUB,
  joined,
  left,
  name,
  OWNER,
  opened,
  RUN,
  seal,
  tick,
  VERA,
  verdict,
  work,
} from '../core/testing/example-history.ts';
import { audienceOf, outlineOf, watchRuns } from './run-news.ts';

describe('whom a change of a run concerns', () => {
  const was = { stage: 'working 3', seats: 'nobody' };
  const cases: [string, ReturnType<typeof audienceOf>, ReturnType<typeof audienceOf>][] = [
    ['everybody, when it is seen for the first time', audienceOf(undefined, was, false), 'all'],
    [
      'everybody, when its phase, round or model is another',
      audienceOf(was, { ...was, stage: 'judging 3' }, true),
      'all',
    ],
    ['everybody, though time alone has moved it', audienceOf(was, { ...was, stage: 'judging 3' }, false), 'all'],
    ['its validators, when other judges are seated', audienceOf(was, { ...was, seats: 'vera' }, false), 'validators'],
    ['its validators soon, when something has come in', audienceOf(was, was, true), 'validators-soon'],
    ['everybody soon, when others hold the stages', audienceOf(was, was, true, true), 'all-soon'],
    ['everybody, when others hold the stages and judge', audienceOf(was, { ...was, seats: 'vera' }, true, true), 'all'],
    ['nobody, when only time has passed', audienceOf(was, was, false), null],
  ];
  for (const [name, got, expected] of cases) test(name, () => assert.equal(got, expected));
});

test('what every peer acts on', () => {
  const run = {
    phase: 'working',
    round: 1,
    attempt: 0,
    model: 'a',
    draw: null,
    replaced: false,
  } as Partial<RunState> as RunState;
  const judged: Partial<RunState>[] = [{ phase: 'judging' }, { phase: 'revealing' }, { phase: 'merging' }];
  const outlines = judged.map((more) => outlineOf({ ...run, ...more }));
  assert.equal(new Set(outlines.map(({ stage }) => stage)).size, 1, 'workers wait for the merge');
  assert.equal(new Set(outlines.map(({ seats }) => seats)).size, judged.length, 'validators do not');
  const stages: Partial<RunState>[] = [
    {},
    { phase: 'judging' },
    { phase: 'paused' },
    { round: 2 },
    { attempt: 1 },
    { model: 'b' },
  ];
  assert.equal(new Set(stages.map((more) => outlineOf({ ...run, ...more }).stage)).size, stages.length);
  const seats: Partial<RunState>[] = [{}, { draw: 'c' }, { replaced: true }];
  assert.equal(new Set(seats.map((more) => outlineOf({ ...run, ...more }).seats)).size, seats.length);
});

test('where the model is cut into stages, everybody hears soon that a worker has come or gone, and of nothing else', () => {
  const history = new History();
  const changesOf = watchRuns(history.state);
  const happen = (...given: Parameters<History['happen']>): string => {
    const [author, body, id] = given;
    return changesOf(history.event(author, body, history.happen(author, body, id)))
      .map(([, audience]) => audience)
      .join();
  };
  assert.equal(happen(OWNER, created({ stages: 2, checkpoint_every: 1 }), RUN), 'all');
  assert.equal(happen(ALICE, joined()), 'all-soon');
  assert.equal(happen(BOB, joined()), 'all-soon');
  assert.equal(happen(VERA, joined('validator')), 'validators-soon');
  assert.equal(happen(HUB, tick(1000)), '');
  assert.equal(happen(HUB, opened()), 'all');
  assert.equal(happen(ALICE, work({ stage: history.run.peers.get(ALICE)!.stage! })), '');
  assert.equal(happen(VERA, left(VERA)), 'validators-soon');
  assert.equal(happen(BOB, left(BOB)), 'all', 'nobody is waited for any more');
  assert.equal(happen(BOB, joined('worker', 1)), 'all-soon');
  assert.equal(happen(HUB, left(BOB, 1)), 'all-soon');
});

test('what a watcher tells of a round', () => {
  const history = new History();
  const changesOf = watchRuns(history.state);
  const happen = (...[author, body, id]: Parameters<History['happen']>): string => {
    const event = history.event(author, body, history.happen(author, body, id));
    return changesOf(event)
      .map(([run, audience]) => `${run.id === RUN} ${audience}`)
      .join();
  };
  assert.equal(happen(OWNER, created(), RUN), 'true all');
  assert.equal(happen(ALICE, joined()), 'true validators-soon');
  assert.equal(happen(BOB, joined()), 'true validators-soon');
  assert.equal(happen(VERA, joined('validator')), 'true validators-soon');
  assert.equal(happen(HUB, tick(1000)), '');
  assert.equal(happen(HUB, opened()), 'true all');
  assert.equal(happen(ALICE, work()), '', 'judges hear of work when its list is closed');
  assert.equal(happen(HUB, tick(1500)), '');
  assert.equal(happen(HUB, tick(2000)), 'true all', 'the work is over');
});

test('verdicts on the open round are told with what comes next, those in a contest at once with it', () => {
  const history = new History();
  const changesOf = watchRuns(history.state);
  const happen = (...[author, body, id]: Parameters<History['happen']>): string => {
    const event = history.event(author, body, history.happen(author, body, id));
    return changesOf(event)
      .map(([, audience]) => audience)
      .join();
  };
  history.openWith([VERA]);
  changesOf(history.event(HUB, tick(1000)));
  const [alice, bob] = [history.happen(ALICE, work()), history.happen(BOB, work({ work: name('4') }))];
  history.draw();
  changesOf(history.event(HUB, tick(1000)));
  assert.equal(happen(VERA, seal(VERA, alice)), '');
  assert.equal(happen(VERA, seal(VERA, bob)), 'validators', 'all are sealed, which no worker acts on');
  assert.equal(happen(VERA, verdict(alice)), '');
  assert.equal(happen(VERA, verdict(bob)), 'validators', 'all are shown');
  const contested = { ...verdict(alice), contest: 0 } as const;
  assert.deepEqual(
    [contested, sealFor(VERA, contested)].map((body) =>
      changesOf(history.event(VERA, body)).map(([, audience]) => audience),
    ),
    [['validators-soon'], ['validators-soon']],
  );
});
