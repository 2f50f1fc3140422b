// The table of attacks in docs/security.md: every row names tests, and every test that it names is there.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const read = (path: string): string => readFileSync(join(import.meta.dirname, '..', path), 'utf8');
/** A test with this beginning of its name, in any of the three ways in which a text is written. */
const named = (beginning: string): RegExp =>
  new RegExp(`\\btest\\(\\s*(['"\`])${beginning.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`);

test('every attack has a test, and it is there', () => {
  const [, section] = read('docs/security.md').split('## Every attack, and the test that plays it');
  const rows = section
    .split('\n## ')[0]
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(1);
  assert.ok(rows.length > 30, `${rows.length}`);
  for (const row of rows) {
    const [attack, , tests] = row.slice('| '.length, -' |'.length).split(' | ');
    assert.ok(tests, row);
    for (const of of tests.split('; ')) {
      const [, file, names] = /^`([\w./-]+\.test\.ts)` ?(.*)$/.exec(of) ?? [];
      assert.ok(file, `${attack}: expected a file and names, got ${of}`);
      const source = read(file);
      for (const [, name] of names.matchAll(/\*([^*]+)\*/g)) {
        assert.match(source, named(name), `${file}: ${name}`);
      }
    }
  }
});
