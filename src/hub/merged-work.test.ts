// What a hub remembers of its merges: whether a work is in one, with its proof; the newest only, and the same after a restart.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { core } from '../core/reduce.ts';
import { isMerged, mergedList } from '../core/rounds/merged-list.ts';
import { ALICE, BOB, History, HUB, merged, RUN, seal, VERA, verdict, work } from '../core/testing/example-history.ts';
import { openMergedWork } from './merged-work.ts';
import { watchedBy } from './watched-machine.ts';

test('a work that was merged and one that was refused are shown, with the merge in the log', () => {
  const h = new History();
  h.openRound();
  const [good, bad] = [ALICE, BOB].map((author) => h.happen(author, work()));
  h.draw();
  for (const [id, accepted] of [[good, true] as const, [bad, false] as const]) h.happen(VERA, seal(VERA, id, accepted));
  for (const [id, accepted] of [[good, true] as const, [bad, false] as const]) h.happen(VERA, verdict(id, accepted));
  const works = openMergedWork();
  const machine = watchedBy(core, [works]);
  assert.equal(machine.apply(h.state, h.event(HUB, merged([good, bad].sort())))?.code, 'wrong-merge');
  assert.equal(works.of(RUN, 0, good), null, 'a merge that was refused is none');
  assert.equal(machine.apply(h.state, h.event(HUB, merged([good]))), null);
  const again = openMergedWork();
  again.restore(structuredClone(works.take()));
  for (const remembered of [works, again]) {
    const shown = [good, bad].map((id) => isMerged(mergedList([good]), id, remembered.of(RUN, 0, id)!));
    assert.deepEqual(shown, [true, false]);
    assert.deepEqual([remembered.of(RUN, 1, good), remembered.of(HUB, 0, good)], [null, null]);
  }
});

test('the newest merges are remembered, forty thousand works of them', () => {
  const list = Array.from({ length: 15_000 }, (_, i) => i.toString(16).padStart(64, '0'));
  const works = openMergedWork();
  works.restore([0, 1, 2].map((round) => [RUN, round, list]));
  assert.deepEqual(
    [0, 1, 2].map((round) => works.of(RUN, round, list[0]) !== null),
    [false, true, true],
  );
  assert.equal(isMerged(mergedList(list), list[9999], works.of(RUN, 2, list[9999])!), true);
});
