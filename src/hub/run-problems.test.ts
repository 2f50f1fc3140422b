// What is said of a run that does not get on: nothing of a healthy one, and of others what it is and what can be done.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { EventBody } from '../core/events.ts';
import { movedOf } from '../core/moving/leaving.ts';
import { mayHalt } from '../core/rounds/worse-models.ts';
import {
  ALICE,
  BOB,
  evaluated,
  History,
  HUB,
  merged,
  OWNER,
  RUN,
  seal,
  tick,
  VERA,
  verdict,
  work,
} from '../core/testing/example-history.ts';
import type { Condition } from './condition.ts';
import { problemsOf, runProblem } from './run-problems.ts';

let h: History;
beforeEach(() => {
  h = new History();
  h.openRound(true, { rounds: 30, checkpoint_every: 40, round_ms: 8000 });
});
const problem = () => runProblem(h.run, { until_ms: (time_ms) => Math.max(0, time_ms - h.state.time_ms) });

test('rounds in which nobody keeps up: said from the third on, with the time of a round, until one brings something', () => {
  for (let i = 0; i < 3; i++) {
    assert.equal(problem(), null);
    h.happen(HUB, tick(h.run.deadline_ms));
    h.happen(HUB, tick(h.state.time_ms + 1));
    h.happen(HUB, tick(h.run.grace_deadline_ms));
    h.happen(HUB, merged([], { attempt: h.run.attempt }));
    if (i < 2) h.openNext();
  }
  assert.match(
    problem()!,
    /^round 0 has brought nothing 3 times in a row: nobody handed anything in within its 8 s, .*too slow.*again in 4 s$/,
  );
  h.openNext();
  assert.match(problem()!, /too slow for it$/);
  h.playRound();
  assert.equal(problem(), null);
});

test('work that is refused again and again: said with what the verdicts say', () => {
  for (let i = 0; i < 3; i++) {
    const { attempt } = h.run;
    const ids = [ALICE, BOB].map((author) => h.happen(author, work({ attempt })));
    h.draw();
    for (const id of ids) h.happen(VERA, seal(VERA, id, false));
    for (const id of ids) h.happen(VERA, verdict(id, false));
    h.happen(HUB, merged([], { attempt }));
    if (i < 2) h.openNext();
  }
  const { code } = verdict(RUN, false);
  assert.ok(problem()!.includes(`all of the work was refused ("${code}")`), problem()!);
});

test('a loss that only rises: who has paused the run, the figures, and what its owner can do; not after it', () => {
  for (const loss of [5.56, 9.2, 25, 24, 85]) {
    h.happen(VERA, { ...evaluated(h.run.round, h.run.model), measured: { loss_micro: loss * 1e6 } } as EventBody);
    h.playRound();
    if (!mayHalt(h.run)) h.openNext();
  }
  const place = { version: 1, run: RUN, round: h.run.round } as const;
  h.happen(HUB, { type: 'run.halted', ...place, version: 2, attempt: h.run.attempt, reason: 'models-get-worse' });
  assert.match(
    problem()!,
    /the hub has paused the run .* worse instead of better: its validation loss was 5\.560 at best and is 85\.000 now, .*run end \w{12}.*run resume \w{12}/,
  );
  h.happen(OWNER, { type: 'run.resumed', ...place, attempt: h.run.attempt });
  assert.equal(problem(), null);
});

test('a run is told what is wrong with the hub, with itself and with the clock, and nothing where nothing is', () => {
  const ready: Condition = { state: 'ready', reason: null };
  const full: Condition = { state: 'disk-full', reason: 'the disk is full' };
  const hour_ms = 3_600_000;
  assert.equal(problemsOf(h.run, ready, null, 0), null);
  assert.equal(problemsOf(h.run, { state: 'opening', reason: 'this hub is starting' }, null, 0), null);
  assert.equal(problemsOf(h.run, full, 'it stands still', 0), 'the disk is full; it stands still');
  assert.match(
    problemsOf(h.run, ready, 'it stands still', hour_ms)!,
    /^it stands still; the log's time is .* ahead of/,
  );
  assert.equal(problemsOf({ ...h.run, phase: 'finished' }, ready, null, hour_ms), null);
});

test('a run that has gone to another hub: where it is, whatever else is said of it', () => {
  h.happen(OWNER, { type: 'run.paused', version: 1, run: RUN, round: 0, attempt: 0 });
  const to = '7'.repeat(64);
  h.happen(OWNER, { type: 'run.leaving', version: 1, run: RUN, round: 0, attempt: 1, to, url: 'https://b.example' });
  assert.equal(problem(), null);
  h.happen(HUB, movedOf(h.state, h.run));
  assert.match(problem()!, /^it goes on at the hub at https:\/\/b\.example/);
});
