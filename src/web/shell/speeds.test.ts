// What is remembered of a device's speed: the last measurement while it is here, for a while, and nothing of who has left.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerView, Progress } from '../../protocol/messages.ts';
import { knownSpeeds, noteSpeeds, type Speed } from './speeds.ts';

function peer(id: string, state: Progress['state'] | null, amount_per_second = 0, present = true): PeerView {
  return {
    ...{ id, name: id, role: 'worker', runtime: 'wasm', present, credit_amount: 0, bytes_up: 0, bytes_down: 0 },
    ...{ merged_submissions: 0, refused_submissions: 0 },
    progress: state && { state, round: 0, amount: 1, numbers: {}, amount_per_second },
  };
}

test('a device that waits keeps the speed at which it trained; one that never trained has none', () => {
  const speeds = new Map<string, Speed>();
  noteSpeeds(speeds, [peer('a', 'working', 500), peer('b', 'waiting'), peer('c', null)], 0);
  noteSpeeds(speeds, [peer('a', 'sending'), peer('a', 'waiting')], 1000);
  assert.deepEqual(knownSpeeds(speeds, 2000), [500]);
  noteSpeeds(speeds, [peer('a', 'working', 700)], 3000);
  assert.deepEqual(knownSpeeds(speeds, 3000), [700]);
});

test('who leaves is forgotten at once, and who was measured long ago after ten minutes', () => {
  const speeds = new Map<string, Speed>();
  noteSpeeds(speeds, [peer('a', 'working', 500), peer('b', 'working', 900)], 0);
  noteSpeeds(speeds, [peer('a', 'waiting', 0, false)], 1000);
  assert.deepEqual(knownSpeeds(speeds, 1000), [900]);
  assert.deepEqual(knownSpeeds(speeds, 600_001), []);
});
