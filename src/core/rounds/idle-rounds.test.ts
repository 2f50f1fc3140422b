// Rounds that bring nothing: the waits between them grow, are bounded, and end when somebody comes.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import {
  ALICE,
  BOB,
  History,
  HUB,
  joined,
  left,
  merged,
  OWNER,
  RUN,
  seal,
  tick,
  VERA,
  verdict,
  work,
} from '../testing/example-history.ts';
import { waitAfter } from './idle-rounds.ts';

let h: History;
beforeEach(() => {
  h = new History();
});

/** Alice and Bob hand in, Vera refuses both: nothing is merged. */
function failRound(): void {
  const { attempt } = h.run;
  const ids = [ALICE, BOB].map((author) => h.happen(author, work({ attempt })));
  h.draw();
  for (const id of ids) h.happen(VERA, seal(VERA, id, false));
  for (const id of ids) h.happen(VERA, verdict(id, false));
  h.happen(HUB, merged([], { attempt }));
}

test('the waits double from the third opening on, and end at five minutes', () => {
  assert.deepEqual([0, 1, 2, 3, 4, 9, 10, 1000].map(waitAfter), [0, 0, 2000, 4000, 8000, 256_000, 300_000, 300_000]);
});

test('each round that brings nothing puts the next opening off, and tells what came of it', () => {
  h.openRound();
  const waits: number[] = [];
  for (let i = 0; i < 5; i++) {
    failRound();
    waits.push(h.run.idle.opens_ms - h.state.time_ms);
    h.happen(HUB, tick(h.run.idle.opens_ms + 1));
    h.openNext();
  }
  assert.deepEqual(waits, [0, 2000, 4000, 8000, 16_000]);
  const { rounds, submissions, code } = h.run.idle;
  assert.deepEqual([rounds, submissions, code], [5, 2, verdict(RUN, false).code]);
});

test('a round that brings something, somebody who comes, and the owner’s word end the wait', () => {
  h.openRound();
  for (let i = 0; i < 3; i++) {
    failRound();
    if (i < 2) h.openNext();
  }
  assert.ok(h.run.idle.opens_ms > h.state.time_ms);
  h.happen(BOB, left(BOB));
  assert.ok(h.run.idle.opens_ms > h.state.time_ms, 'who goes changes nothing');
  h.happen(BOB, joined('worker', 1));
  assert.deepEqual([h.run.idle.opens_ms, h.run.idle.rounds], [0, 3]);
  h.openNext();
  failRound();
  const word = { version: 1, run: RUN, round: 0 } as const;
  h.happen(OWNER, { type: 'run.paused', ...word, attempt: h.run.attempt });
  h.happen(OWNER, { type: 'run.resumed', ...word, attempt: h.run.attempt });
  assert.equal(h.run.idle.rounds, 0);
  h.openNext();
  failRound();
  h.openNext();
  h.playRound();
  assert.equal(h.run.idle.rounds, 0);
});
