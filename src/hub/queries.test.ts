// What a hub tells of a device's work is what the log holds: units that were merged, the shares that they were paid, and what the run pays.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALICE, History, HUB, RUN, VERA } from '../core/testing/example-history.ts';
import { DeviceWorkSchema } from '../protocol/messages.ts';
import { openQueries, type QueryOptions } from './queries.ts';

test('the work of a worker and of a validator, and of nobody else', () => {
  const history = new History();
  history.openRound();
  history.playRound();
  const { deviceWork } = openQueries({ hub: HUB, state: history.state } as QueryOptions);
  const [alice, vera] = [ALICE, VERA].map((peer) => DeviceWorkSchema.parse(deviceWork(RUN, peer)));
  const { run } = history;
  const shares = (peer: string) => run.withheld.get(peer)![0].shares;
  const tokens = run.peers.get(ALICE)!.credit_amount;
  assert.ok(shares(ALICE) > 0 && tokens > 0);
  assert.deepEqual(alice.paid, [{ round: 0, units: tokens, shares: shares(ALICE) }]);
  assert.deepEqual(vera.paid, [{ round: 0, units: 0, shares: shares(VERA) }]);
  assert.deepEqual([alice.hub, alice.merged_rounds, alice.merged_units], [HUB, 1, run.merged_amount]);
  assert.equal(alice.worker_shares_per_round, 2 * shares(ALICE)); // two workers did the same
  assert.equal(deviceWork(RUN, '0'.repeat(64)), null);
  assert.equal(deviceWork('0'.repeat(64), ALICE), null);
});
