// How a hub lets a run go: again where somebody has come meanwhile, and with an end where the log will never have it.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { RunMoved } from '../core/events/run-moved.ts';
import type { EventBody } from '../core/events.ts';
import { hashOfMovedRun } from '../core/moving/moved-run.ts';
import { core } from '../core/reduce.ts';
import { BOB, History, HUB, OWNER, RUN } from '../core/testing/example-history.ts';
import { createMemoryBlobStore } from '../ledger/blob-store.ts';
import { HubError } from './errors.ts';
import { letGo } from './rounds.ts';
import type { Sequencer } from './sequencer.ts';

const blobs = createMemoryBlobStore();
let h: History;
/** What the hub has tried to write. */
let tried: RunMoved[];
beforeEach(() => {
  h = new History();
  h.openRound();
  tried = [];
  h.happen(OWNER, { type: 'run.paused', version: 1, run: RUN, round: 0, attempt: 0 });
  const to = '7'.repeat(64);
  h.happen(OWNER, { type: 'run.leaving', version: 1, run: RUN, round: 0, attempt: 1, to, url: 'https://b.example' });
});

/** A sequencer that takes what the core takes, after a step of somebody else's. */
const sequencer = (before: () => void): Sequencer =>
  ({
    state: h.state,
    async write(body: EventBody) {
      tried.push(body as RunMoved);
      before();
      const refusal = core.refusalOf(h.state, { id: 'e'.repeat(64), author: HUB, body });
      if (refusal) throw new HubError('refused', refusal.message, { refusal: refusal.code });
      h.happen(HUB, body);
    },
  }) as unknown as Sequencer;

test('where somebody has left meanwhile, what it takes along is put and said again', async () => {
  const leave = (): void => {
    if (tried.length === 1)
      h.happen(HUB, { type: 'peer.left', version: 1, run: RUN, peer: BOB, session: 0, reason: 'goodbye' });
  };
  await letGo(h.run, { sequencer: sequencer(leave), blobs });
  assert.equal(tried.length, 2);
  assert.notEqual(tried[0].state, tried[1].state);
  assert.equal(h.run.moved?.hub, '7'.repeat(64));
  assert.equal(hashOfMovedRun((await blobs.get(tried[1].state))!), tried[1].state);
});

test('a run that the log will not have told as gone is not tried for ever', async () => {
  const refusing = {
    ...sequencer(() => {}),
    write: async (body: EventBody) => {
      tried.push(body as RunMoved);
      throw new HubError('refused', 'a run takes at most so many bytes along', { refusal: 'wrong-state' });
    },
  };
  await assert.rejects(letGo(h.run, { sequencer: refusing, blobs }), { code: 'refused' });
  assert.equal(tried.length, 1);
});
