// The way of an update in ARCHITECTURE.md: every step names one function, which its file exports under this very name.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '..');
const STEP = /^\d+\. `(\w+)` \(`([\w/.-]+\.ts)`\)(.*)$/;

test('each step of "Follow one update" is one function that can be found by its name', () => {
  const text = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8');
  const chapter = text.slice(text.indexOf('## Follow one update'), text.indexOf('## A game from a file'));
  const steps = chapter.split('\n').filter((line) => /^\d+\. /.test(line));
  assert.ok(steps.length >= 10, `expected a way of ten steps or more, got ${steps.length}`);
  for (const step of steps) {
    const [, name, file, rest] = STEP.exec(step) ?? assert.fail(`expected a function and its file, got: ${step}`);
    assert.doesNotMatch(rest, /\.ts`/, `one file a step: ${step}`);
    const source = readFileSync(join(ROOT, 'src', file), 'utf8');
    assert.match(source, new RegExp(`export (async )?(function\\*?|const) ${name}\\b`), `${file} exports no ${name}`);
  }
});

test('every file that ARCHITECTURE.md names is there', () => {
  const text = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8');
  const named = [...text.matchAll(/`([a-z]+\/[\w/-]+\.tsx?)`/g)].map(([, file]) => file);
  assert.ok(named.length > 30);
  for (const file of named) {
    const place = [join(ROOT, 'src', file), join(ROOT, file)].find((path) => {
      try {
        return readFileSync(path).length > 0;
      } catch {
        return false;
      }
    });
    assert.ok(place, `no file ${file}`);
  }
});
