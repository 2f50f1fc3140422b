// A word for a run: its name or the beginning of its id; what is short, unknown or means several is refused with what there is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KnownRun, runMeant as meant } from './run-handle.ts';

const run = (id: string, name: string, finished = false): KnownRun => ({ id: id.padEnd(64, '0'), name, finished });
const plays = run('3fa9c1', 'Plays');
const news = run('3fa9d2', 'News');
const old = run('aaaa', 'News', true);
const hex = run('bbbb', '3fa9');
const RUNS = [old, plays, news];
const runMeant = (runs: readonly KnownRun[], wanted: string | undefined) => meant(runs, wanted, 'the hub');

test('by its name, by the beginning of its id, or as the only one that goes on', () => {
  assert.equal(runMeant(RUNS, 'Plays'), plays);
  assert.equal(runMeant(RUNS, '3fa9c'), plays);
  assert.equal(runMeant(RUNS, plays.id), plays);
  assert.equal(runMeant([old, plays], undefined), plays);
  assert.equal(runMeant([old], undefined), old);
});

test('of several with one name it is the one that goes on; a finished one is found by its id', () => {
  assert.equal(runMeant(RUNS, 'News'), news);
  assert.equal(runMeant(RUNS, 'aaaa'), old);
  assert.equal(runMeant([old], 'News'), old);
});

test('a digit or two mean no run, whichever begin with them', () => {
  for (const word of ['3', '3f', '3fa']) {
    assert.match(String(runMeant([plays], word)), /at least 4 digits of its id, got "3/);
  }
});

test('what means none or several is told with what there is, and finished runs only as a number', () => {
  assert.match(
    String(runMeant(RUNS, '3fa9')),
    /but 2 .*begin with "3fa9": 3fa9c1000000 \(Plays\), 3fa9d2000000 \(News\)/,
  );
  const none = String(runMeant(RUNS, 'Poems'));
  assert.match(none, /"Poems"; the hub has 3fa9c1000000 \(Plays\), 3fa9d2000000 \(News\), 1 finished$/);
  assert.match(String(runMeant([], undefined)), /the hub has none$/);
  assert.match(String(runMeant(RUNS, undefined)), /expected a run, by its name/);
  const many = Array.from({ length: 40 }, (_, i) => run(`${i + 1000}`, `run ${i}`));
  assert.match(String(runMeant(many, undefined)), /run 7\), 32 more$/);
});

test('a name that is the beginning of another id is no silent choice', () => {
  assert.match(String(runMeant([hex, plays], '3fa9')), /but 2 have that name or begin with "3fa9"/);
});

test('an empty word means no run', () => {
  assert.equal(typeof runMeant([plays], ''), 'string');
});

test('a hostile name moves no cursor', () => {
  assert.match(String(runMeant([run('cccc', 'a\u001b[2Jb\nc'), plays], 'x')), /\(a\[2Jb c\)/);
});
