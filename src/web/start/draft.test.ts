// The form as it is typed: every field's limits in words, models that there cannot be, and what a whole plan still lacks.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Draft, FIRST_DRAFT, fieldsOf, hasSize, missingIn, NUMBERS, type NumberField, planOf } from './draft.ts';

const problemsOf = (part: Partial<Draft>) => Object.fromEntries(planOf({ ...FIRST_DRAFT, ...part }).problems);
const planFrom = (part: Partial<Draft>) => planOf({ ...FIRST_DRAFT, ...part }).plan;

test('an untouched form is a plan with the defaults of the command, and lacks a name and a text', () => {
  const { plan, problems } = planOf(FIRST_DRAFT);
  assert.deepEqual([...problems], []);
  const { name: _name, text: _text, ...rest } = plan!;
  assert.deepEqual(rest, {
    ...{ layers: 4, width: 128, heads: 4, context: 64, tied: false },
    ...{ rounds: 60, round_seconds: 30, steps: 30, batch: 12, learning_rate: 0.001, min_workers: 1 },
    ...{ seed: 'potluck', merge_rule: 'mean' },
  });
  assert.match(missingIn(plan!)!, /name/);
  assert.match(missingIn({ ...plan!, name: 'a' })!, /text/);
  assert.equal(missingIn({ ...plan!, name: 'a', text: 'b' }), null);
});

test('a number that is none, or beyond its limits, says what was expected and leaves no plan', () => {
  assert.deepEqual(problemsOf({ rounds: '0' }), { rounds: 'Expected a whole number from 1 to 1,000,000.' });
  assert.equal(planFrom({ rounds: '0' }), null);
  for (const [field, { min, max, whole }] of Object.entries(NUMBERS) as [
    NumberField,
    (typeof NUMBERS)[NumberField],
  ][]) {
    for (const wrong of ['', ' ', 'x', '1e', String(min - 1), String(max + 1), ...(whole ? ['8.5'] : [])]) {
      assert.ok(field in problemsOf({ [field]: wrong }), `${field} ${JSON.stringify(wrong)}`);
    }
    const only = Object.keys(problemsOf({ [field]: String(min) })).filter(
      (found) => found === field && field !== 'width',
    );
    assert.deepEqual(only, [], field);
  }
  assert.equal(planFrom({ learning_rate: '1e-3', round_seconds: '0.5' })?.round_seconds, 0.5);
});

test('a name of blanks is none, and the forecast goes on without one', () => {
  assert.match(problemsOf({ name: '  ' }).name, /not only blanks/);
  assert.ok(planFrom({ name: '  ' }));
  assert.equal(planFrom({ name: ' a run ' })?.name, 'a run');
});

test('numbers that fit each alone and make no model together', () => {
  assert.match(problemsOf({ width: '8', heads: '5' }).heads, /at most 4 heads/);
  assert.match(problemsOf({ width: '12', heads: '4' }).heads, /no such model: .*even/);
  assert.deepEqual(problemsOf({ width: '130' }), { width: 'Expected a multiple of the 4 heads, such as 128 or 136.' });
  assert.match(problemsOf({ width: '65536' }).width, /no such model|million parameters/);
  assert.match(problemsOf({ width: '8192', layers: '64' }).width, /million parameters is more than a hub takes/);
});

test('a size fills in its shape, and is chosen for as long as the form has that shape', () => {
  const medium = { ...FIRST_DRAFT, ...fieldsOf('medium') };
  assert.deepEqual(
    [hasSize(FIRST_DRAFT, 'small'), hasSize(medium, 'small'), hasSize(medium, 'medium')],
    [true, false, true],
  );
  assert.equal(hasSize({ ...medium, layers: '7' }, 'medium'), false);
});
