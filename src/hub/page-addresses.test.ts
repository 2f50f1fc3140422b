// What people type, what the command line prints and what the page writes lead to the same views; whatever else leads nowhere, least of all away.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RunStatus } from '../protocol/messages.ts';
import { addressOfView } from './page-addresses.ts';

const ids = ['ab12', 'ab12f', 'cd34'].map((beginning) => beginning.padEnd(64, '0'));
const runs = ids.map((run, i) => ({ run, phase: i === 2 ? 'finished' : 'working' }) as RunStatus);
const at = (path: string, among = runs) => {
  const found = addressOfView(path, among);
  if (found.kind === 'elsewhere') return found.to;
  return found.kind === 'view' ? (found.run?.run ?? 'view') : null;
};

test('views that the page writes', () => {
  for (const path of ['/', '/start', '/devices', '/pool', '/ledger', '/ledger/7']) assert.equal(at(path), 'view', path);
  for (const view of ['', '/device', '/play']) assert.equal(at(`/r/${ids[0]}${view}`), ids[0]);
});

test('a slash too many', () => {
  assert.equal(at('/start/'), '/start');
  assert.equal(at('/ledger/7/'), '/ledger/7');
  assert.equal(at(`/r/${ids[0]}/`), `/r/${ids[0]}`);
  assert.equal(at(`/r/${ids[0].slice(0, 5)}/play/`), `/r/${ids[0]}/play`);
  assert.equal(at('/r/'), '/');
});

test('the beginning of a run, where only one begins so', () => {
  assert.equal(at(`/r/${ids[2].slice(0, 12)}`), `/r/${ids[2]}`);
  assert.equal(at(`/r/${ids[2].slice(0, 12)}/device`), `/r/${ids[2]}/device`);
  assert.equal(at('/r/ab12'), null, 'two begin so');
  assert.equal(at('/r/ab1'), null, 'too short to be meant');
  assert.equal(at(`/r/${'e'.repeat(64)}`), 'view', 'the page says that there is none');
  assert.equal(at(`/r/${'e'.repeat(12)}`), null);
});

test('a view without its run: the newest that is not finished', () => {
  assert.equal(at('/device'), `/r/${ids[1]}/device`);
  assert.equal(at('/play/'), `/r/${ids[1]}/play`);
  assert.equal(at('/play', [runs[2]]), `/r/${ids[2]}/play`);
  assert.equal(at('/device', []), '/');
  assert.equal(at('/runs'), '/');
});

test('nothing leads away from this hub', () => {
  for (const path of ['//evil.example', '//evil.example/', '//', '/\\evil.example', `/r/${ids[0]}//evil.example`]) {
    const to = at(path);
    assert.ok(to === null || to === 'view' || /^\/(?![/\\])/.test(to), `${path} → ${to}`);
  }
  for (const path of ['/nonsense', '/ledger/x', `/r/${ids[0]}/other`, '/start/x', '/R']) assert.equal(at(path), null);
});
