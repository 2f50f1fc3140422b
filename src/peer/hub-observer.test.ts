// An observer puts a hub's runs together of what it is told, however many messages that takes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Changes, PeerView } from '../protocol/messages.ts';
import { exampleStatus } from '../protocol/testing/example-views.ts';
import { followChanges } from './hub-observer.ts';

const { peers: _, ...overview } = exampleStatus({});
const peer = (id: string, bytes_up = 0) => ({ id, bytes_up }) as PeerView;
const told = (more: Partial<Changes>): Changes => ({
  ...{ type: 'changes', whole: false, now_ms: 0, events: 0, runs: [], history: [], samples: [], peers: [] },
  ...more,
});

test('pieces belong together, changes replace what was before, and whole ones start over', () => {
  const follow = followChanges();
  const ids = (changes: Partial<Changes>): string[][] =>
    follow(told(changes)).map(({ phase, peers }) => [phase, ...peers.map(({ id, bytes_up }) => `${id}${bytes_up}`)]);
  const { run } = overview;
  assert.deepEqual(ids({ whole: true, runs: [overview], peers: [{ run, peers: [peer('a'), peer('b')] }] }), [
    [overview.phase, 'a0', 'b0'],
  ]);
  assert.deepEqual(ids({ peers: [{ run, peers: [peer('c')] }] }), [[overview.phase, 'a0', 'b0', 'c0']]);
  assert.deepEqual(ids({ runs: [{ ...overview, phase: 'finished' }], peers: [{ run, peers: [peer('b', 7)] }] }), [
    ['finished', 'a0', 'b7', 'c0'],
  ]);
  assert.deepEqual(ids({ whole: true, runs: [overview] }), [[overview.phase]]);
  assert.deepEqual(ids({ whole: true }), []);
});
