// A fleet's file: what is right is read with its defaults, what is wrong is told in one line that says where, what was expected and what came.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SimulationError } from '../errors.ts';
import { modelBytes, parseFleet, stepBytes, updateBytes } from './fleet.ts';

const TEXT = readFileSync(join(import.meta.dirname, 'scenarios', 'city-laptops.json'), 'utf8');

/** The shipped file with one place of it replaced. */
function changed(path: string, value: unknown): string {
  const fleet = JSON.parse(TEXT);
  const names = path.split('.');
  let at = fleet;
  for (const name of names.slice(0, -1)) at = at[name];
  if (value === undefined) delete at[names.at(-1)!];
  else at[names.at(-1)!] = value;
  return JSON.stringify(fleet);
}

const refused = (text: string, message: RegExp): void =>
  void assert.throws(
    () => parseFleet(text),
    (error: unknown) => {
      assert.ok(error instanceof SimulationError && error.code === 'bad-fleet', String(error));
      assert.match(error.message, message);
      assert.ok(!error.message.includes('\n'), 'one line');
      return true;
    },
  );

test('a shipped fleet is read, with sizes that follow from the number of parameters', () => {
  const { model, hub, runs } = parseFleet(TEXT);
  assert.equal(hub.front_sockets, 10_000);
  assert.equal(runs, 4);
  assert.ok(Math.abs(4 * model.parameters - 216.8 * updateBytes(model)) < 1);
  assert.ok(Math.abs(4 * model.parameters - 70.3 * stepBytes(model)) < 1);
  assert.equal(modelBytes(model), 2 * model.parameters);
});

for (const [what, text, message] of [
  ['text that is no JSON', '{"name":', /^the file: expected JSON, got /],
  ['a negative rate', changed('classes.0.flops', -1), /^classes\.0\.flops: expected .*>0, got -1$/],
  ['a word for a number', changed('devices', 'many'), /^devices: expected number, got "many"$/],
  [
    'a part that is missing',
    changed('classes.1.watts', undefined),
    /^classes\.1\.watts: expected number, got nothing$/,
  ],
  [
    '23 hours of a day',
    changed('classes.0.available.weekday', Array(23).fill(0.5)),
    /^classes\.0\.available\.weekday: .*24.*, got \[/,
  ],
  ['a part that is not known', changed('classes.0.colour', 'red'), /^classes\.0: .*colour/],
  ['no source', changed('model.source', undefined), /^model\.source: expected string, got nothing$/],
  [
    'shares of classes that are no whole',
    changed('classes.0.share', 0.1),
    /^classes: expected shares that add up to 1, got 0\.4/,
  ],
  ['shares of zones that are no whole', changed('classes.0.zones.0.share', 0.5), /^classes\.0\.zones: expected shares/],
  ['two classes of one name', changed('classes.1.name', 'laptop, two cores'), /^classes: expected names of their own/],
  [
    'judges that nobody is',
    changed(
      'classes',
      JSON.parse(TEXT).classes.map((one: object) => ({ ...one, judges: 0 })),
    ),
    /^classes: expected a class whose "judges"/,
  ],
  [
    'more pay than there is',
    changed('rules.owner_permille', 700),
    /^rules: expected at most 1000 permille .*, got 1110$/,
  ],
  ['a model that fits nowhere', changed('model.memory_gb', 5000), /^classes: expected a class with the 5000 GB/],
  [
    'days that fall',
    changed('series', [
      { day: 2, devices: 1 },
      { day: 1, devices: 2 },
    ]),
    /^series: expected days that rise, got 2, 1$/,
  ],
  [
    'a load that nobody can serve',
    changed('serving', { source: 'x', tokens_per_s: Array(24).fill(1), eur_per_million: 0 }),
    /serves_tokens_per_s/,
  ],
] as const) {
  test(`${what} is refused in one line`, () => refused(text, message));
}
