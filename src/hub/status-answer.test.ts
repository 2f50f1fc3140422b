// The state is computed, written and packed once for however many ask, is never older than it says, and costs who has it already no bytes.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { Hono } from 'hono';
import type { Clock } from '../protocol/clock.ts';
import type { PeerView, RunStatus } from '../protocol/messages.ts';
import { exampleStatus } from '../protocol/testing/example-views.ts';
import { statusAnswer } from './status-answer.ts';
import { openKept } from './statuses.ts';

/** A state that takes `cost_ms` to compute, on a clock that moves only when told, or while something is computed. */
function costly(cost_ms: () => number) {
  const clock = { now_ms: 0, elapsed_ms: () => clock.now_ms };
  const computed = { times: 0 };
  const statuses = openKept(() => {
    clock.now_ms += cost_ms();
    return [exampleStatus({ round: ++computed.times })];
  }, clock);
  return { clock, computed, statuses };
}
const roundOf = ([{ round }]: RunStatus[]): number => round;

/** A hub whose only run has this status. */
const answering = (status: RunStatus, clock: Pick<Clock, 'elapsed_ms'>) => {
  const statuses = openKept(() => [status], clock);
  return new Hono().get('/status', statusAnswer('hub', statuses, clock));
};

describe('the state', () => {
  test('that is expensive is computed for one part in twenty of the time, however many ask', () => {
    const { clock, computed, statuses } = costly(() => 10);
    for (let asked = 0; asked < 100_000; asked++) {
      statuses.recent();
      clock.now_ms += 0.1;
    }
    assert.ok(computed.times * 10 <= clock.now_ms / 20, `${computed.times} in ${clock.now_ms} ms`);
    assert.ok(computed.times * 10 >= clock.now_ms / 25);
  });

  test('that costs nothing is always as it is now', () => {
    const { computed, statuses } = costly(() => 0);
    for (let asked = 1; asked <= 5; asked++) assert.equal(roundOf(statuses.recent()), asked);
    assert.equal(computed.times, 5);
  });

  test('is never older than two seconds, and one slow moment of the machine makes it no older', () => {
    const { clock, statuses } = costly(() => 1000);
    assert.equal(roundOf(statuses.recent()), 1);
    clock.now_ms += 1999;
    assert.equal(roundOf(statuses.recent()), 1);
    clock.now_ms += 1;
    assert.equal(roundOf(statuses.recent()), 2);
    const costs = [1, 500];
    const hiccup = costly(() => costs.shift() ?? 1);
    hiccup.statuses.fresh();
    hiccup.statuses.fresh();
    hiccup.clock.now_ms += 20;
    assert.equal(roundOf(hiccup.statuses.recent()), 3);
  });

  test('is fresh for whoever must have it so, and that is what the others get then', () => {
    const { statuses } = costly(() => 10);
    assert.equal(roundOf(statuses.recent()), 1);
    assert.equal(roundOf(statuses.fresh()), 2);
    assert.equal(roundOf(statuses.recent()), 2);
  });
});

describe('the answer', () => {
  const open = () => {
    const made = costly(() => 10);
    const app = new Hono().get('/status', statusAnswer('hub', made.statuses, made.clock));
    return {
      ...made,
      ask: (headers: Record<string, string> = {}, method = 'GET') => app.request('/status', { headers, method }),
    };
  };

  test('is the state, plain or packed, under a tag that tells them apart', async () => {
    const { ask, computed } = open();
    const plain = await ask();
    const text = await plain.text();
    assert.deepEqual(JSON.parse(text), { hub: 'hub', runs: [exampleStatus({ round: 1 })], next: null });
    assert.equal(plain.headers.get('content-type'), 'application/json');
    const tags = new Set([plain.headers.get('etag')]);
    for (const [packing, unpack] of [
      ['br', brotliDecompressSync],
      ['gzip', gunzipSync],
    ] as const) {
      const answers = await Promise.all([1, 2, 3].map(() => ask({ 'accept-encoding': packing })));
      for (const answer of answers) {
        assert.equal(answer.headers.get('content-encoding'), packing);
        assert.equal(unpack(await answer.arrayBuffer()).toString(), text);
        tags.add(answer.headers.get('etag'));
      }
    }
    assert.equal(tags.size, 3);
    assert.equal(computed.times, 1);
  });

  test('is without peers for whoever asks for none, under another tag', async () => {
    const clock = { elapsed_ms: () => 0 };
    const status = exampleStatus({ peers: [{ id: 'a' } as PeerView] });
    const app = answering(status, clock);
    const [whole, brief] = await Promise.all(['', '?peers=none'].map((query) => app.request(`/status${query}`)));
    assert.deepEqual(await whole.json(), { hub: 'hub', runs: [status], next: null });
    assert.deepEqual(await brief.json(), { hub: 'hub', runs: [{ ...status, peers: [] }], next: null });
    assert.notEqual(whole.headers.get('etag'), brief.headers.get('etag'));
  });

  test('that is expensive to write is written for one part in twenty of the time, also where the state costs nothing', async () => {
    const clock = { now_ms: 0, elapsed_ms: () => clock.now_ms };
    let written = 0;
    const status = {
      ...exampleStatus({}),
      toJSON() {
        clock.now_ms += 10;
        return { written: ++written };
      },
    };
    const app = answering(status, clock);
    for (let asked = 0; asked < 1000; asked++) {
      await app.request('/status');
      clock.now_ms += 1;
    }
    assert.ok(written >= 4 && written <= 6, `${written} times in ${clock.now_ms} ms`);
  });

  test('costs no bytes while it is the same, and is another one when it is not', async () => {
    const { ask, clock } = open();
    for (const encoding of ['br', 'identity']) {
      const headers = { 'accept-encoding': encoding };
      const etag = (await ask(headers)).headers.get('etag')!;
      for (const known of [etag, `"other", W/${etag}`, '*']) {
        const again = await ask({ ...headers, 'if-none-match': known });
        assert.deepEqual([again.status, await again.text(), again.headers.get('etag')], [304, '', etag]);
      }
      clock.now_ms += 5000;
      const changed = await ask({ ...headers, 'if-none-match': etag });
      assert.equal(changed.status, 200);
      assert.notEqual(changed.headers.get('etag'), etag);
    }
  });
});
