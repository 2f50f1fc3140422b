// Who judges a run that is created: by default validators of the key that creates it; contradictions are refused with both names.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { exampleRules } from '../core/testing/example-events.ts';
import { trainingFor } from '../owner/run-settings.ts';
import { checkJudges, validatorsOf, whoseValidator, withRules } from './run-judges.ts';

const [OWN, OTHER] = ['a', 'b'].map((digit) => digit.repeat(64));
const ESSENTIALS = { rounds: 1, round_seconds: 1, steps: 1, batch: 1, context: 2, learning_rate: 1e-3, min_workers: 1 };
const EMISSION = {
  ...{ shares_per_round: 7, halving_rounds: 0 },
  ...{ owner_permille: 0, workers_permille: 500, validators_permille: 500 },
};

test('nobody but the owner judges unless it says so, and what a stranger locks in a round does not outweigh it', () => {
  const rulesWith = (flags: { open: boolean; validator?: string[] }) =>
    trainingFor({ ...ESSENTIALS, validators: validatorsOf(flags, OWN) }).schedule.rules;
  const own = rulesWith({ open: false });
  assert.deepEqual(
    own.validators.map(({ account }) => account),
    [OWN],
  );
  assert.ok(own.validators[0].stake >= 10 * own.emission.shares_per_round);
  assert.deepEqual(rulesWith({ open: true }).validators, []);
  assert.deepEqual(
    rulesWith({ open: false, validator: [OTHER, OWN, OTHER] }).validators.map(({ account }) => account),
    [OTHER, OWN],
  );
  const said = [own, rulesWith({ open: true }), rulesWith({ open: false, validator: [OTHER] })];
  assert.deepEqual(
    said.map((rules) => whoseValidator(rules, OWN)),
    [' of yours', '', ' of the account that the rules name'],
  );
});

test('two ways of saying who judges are refused, with both names', () => {
  checkJudges({ open: true });
  checkJudges({ open: false, rules: 'x.json' });
  for (const [flags, names] of [
    [{ open: true, validator: [OWN] }, /--validator or --open/],
    [{ open: true, rules: 'x.json' }, /--open or --rules/],
    [{ open: false, validator: [OWN], rules: 'x.json' }, /--validator or --rules/],
  ] as const) {
    assert.throws(() => checkJudges({ ...flags, validator: flags.validator && [...flags.validator] }), names);
  }
});

test('the rules of a file are taken as they are, or refused with what is wrong in them', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-rules-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'rules.json');
  const rules = exampleRules(EMISSION, { judges: 5 });
  const made = trainingFor(ESSENTIALS);
  writeFileSync(file, JSON.stringify(rules));
  assert.deepEqual(withRules({ open: false, rules: file }, made).schedule.rules, rules);
  assert.equal(withRules({ open: false }, made), made);
  writeFileSync(file, JSON.stringify({ ...rules, judges: 0 }));
  assert.throws(() => withRules({ open: false, rules: file }, made), /--rules .*judges/);
  writeFileSync(file, 'no json');
  assert.throws(() => withRules({ open: false, rules: file }, made), /expected JSON/);
  assert.throws(() => withRules({ open: false, rules: join(folder, 'none') }, made), /no file at/);
});
