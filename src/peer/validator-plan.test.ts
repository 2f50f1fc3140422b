// What a validator judges next and for how long, what it reveals, and when it measures a model.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JudgedView } from '../protocol/from-hub.ts';
import { exampleView } from '../protocol/testing/example-views.ts';
import type { SeenRun } from './round-work.ts';
import { instanceOf, isToEvaluate, type JudgeKnows, nextToJudge, toReveal } from './validator-plan.ts';

const SELF = 'a'.repeat(64);
const OTHER = 'b'.repeat(64);
const submission = (id: string, more: Partial<JudgedView> = {}): JudgedView =>
  ({ id, judges: [SELF, OTHER], sealed: [], shown: [], appealed: false, ...more }) as JudgedView;
const seen = (more: Partial<SeenRun>): SeenRun => ({ ...exampleView(more), submissions: [], handed_in: [], ...more });
const judging = (submissions: JudgedView[], more: Partial<SeenRun> = {}): SeenRun =>
  seen({ phase: 'judging', draw: 'd'.repeat(64), remaining_ms: 0, judging_ms: 9000, submissions, ...more });
const known: JudgeKnows = { self: SELF, newest: null, judged: new Set(), elapsed_ms: 0 };
const next = (view: SeenRun, more: Partial<JudgeKnows> = {}): string | null =>
  nextToJudge(view, { ...known, ...more })?.submission.id ?? null;

test('submissions are judged in the order of the log: those that it was drawn for, each once', () => {
  const works = [submission('one', { judges: [OTHER] }), submission('two'), submission('three', { sealed: [SELF] })];
  assert.equal(next(judging(works)), 'two');
  assert.equal(next(judging(works), { judged: new Set([instanceOf(works[1])]) }), null);
  const appealed = { ...works[1], appealed: true };
  assert.equal(next(judging([appealed]), { judged: new Set([instanceOf(works[1])]) }), 'two', 'again in an appeal');
});

test('nothing is judged before the draw, outside of judging, or where another judge has its place by now', () => {
  const works = [submission('one'), submission('two')];
  assert.equal(next(judging(works, { draw: null })), null);
  assert.equal(next({ ...judging(works), phase: 'revealing' }), null);
  const newest = judging([submission('one', { judges: [OTHER] }), submission('two')]);
  assert.equal(next(judging(works), { newest }), 'two');
  assert.equal(
    next(judging(works), { newest: judging([]) }),
    'one',
    'a view that does not speak of it says nothing of it',
  );
});

test('the time left is shared among what waits; an appeal may use all of it, a first judgement until the silent make room', () => {
  const time = (view: SeenRun, elapsed_ms = 0) => nextToJudge(view, { ...known, elapsed_ms })?.time_ms;
  const appeal = (id: string) => submission(id, { appealed: true });
  const near = (value: number | undefined, expected: number) =>
    assert.ok(Math.abs(value! - expected) < 1e-6, `expected ${expected}, got ${value}`);
  near(time(judging([appeal('one')])), 6300);
  near(time(judging([appeal('one'), appeal('two'), appeal('three')])), 2100);
  near(time(judging([appeal('one')], { remaining_ms: 5000 }), 1000), 2800);
  assert.ok(time(judging([submission('one')]))! < 6300);
});

test('a verdict is shown while verdicts are: what it has sealed and not shown', () => {
  const works = [
    submission('one'),
    submission('two', { sealed: [SELF] }),
    submission('three', { sealed: [SELF], shown: [SELF] }),
  ];
  assert.deepEqual(toReveal(seen({ phase: 'revealing', submissions: works }), SELF), ['two']);
  assert.deepEqual(toReveal(seen({ phase: 'judging', submissions: works }), SELF), []);
});

test('a model is measured once, and never while a round waits for verdicts', () => {
  const view = seen({ phase: 'gathering', model: 'c'.repeat(64) });
  assert.equal(isToEvaluate(view, ''), true);
  assert.equal(isToEvaluate(view, view.model), false);
  assert.equal(isToEvaluate({ ...view, phase: 'working' }, ''), true);
  for (const phase of ['judging', 'revealing', 'merging'] as const)
    assert.equal(isToEvaluate({ ...view, phase }, ''), false);
});
