// The state in pages: none is larger than a message may be, together they are everything once, and who asks for all of it gets that.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Hono } from 'hono';
import { encodeMessage } from '../protocol/encode-message.ts';
import { decodeForObserver, type PeerView, type RunStatus, WIRE_LIMITS } from '../protocol/messages.ts';
import { allPages, joinedRuns, statusPath } from '../protocol/status-pages.ts';
import { exampleStatus } from '../protocol/testing/example-views.ts';
import { statusAnswer } from './status-answer.ts';
import { statusPage } from './status-pages.ts';
import { openKept } from './statuses.ts';

const peerOf = (run: number, number: number): PeerView => ({
  ...{ id: `${run}a${number}`.padStart(64, '0'), name: `peer ${'é'.repeat(number % 40)}`, role: 'worker' },
  ...{ runtime: 'native-cpu', present: true, credit_amount: number, merged_submissions: 1, refused_submissions: 0 },
  ...{ progress: null, bytes_up: 1000, bytes_down: 2000 },
});
const runsOf = (counts: readonly number[]): RunStatus[] =>
  counts.map((count, run) => ({
    ...exampleStatus(),
    run: String(run).padStart(64, '0'),
    peers: Array.from({ length: count }, (_, number) => peerOf(run, number)),
  }));

test('pages are everything once and in order, each below its limit unless it is one thing', async () => {
  const counts = fc.array(fc.nat(30), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(counts, fc.integer({ min: 1, max: 20_000 }), async (counts, most_bytes) => {
      const runs = runsOf(counts);
      const pages = [statusPage(runs, 0, most_bytes)];
      for (let next = pages[0].next; next !== null; next = pages.at(-1)!.next) {
        pages.push(statusPage(runs, next, most_bytes));
        assert.ok(pages.length <= 1000);
      }
      assert.deepEqual(joinedRuns(pages), runs);
      const things = pages.reduce((sum, page) => sum + page.runs.reduce((all, run) => all + run.peers.length, 0), 0);
      assert.equal(
        things,
        runs.reduce((sum, { peers }) => sum + peers.length, 0),
        'no peer twice',
      );
      for (const page of pages) {
        const single = page.runs.length === 1 && page.runs[0].peers.length <= 1;
        assert.ok(single || JSON.stringify(page.runs).length <= most_bytes + 2);
      }
    }),
    { numRuns: 60 },
  );
});

test('with ten thousand peers no answer and no message is larger than a message may be, and a device reads them all', async () => {
  const runs = runsOf([3, 10_000, 2]);
  const clock = { elapsed_ms: () => 0 };
  const app = new Hono().get(
    '/status',
    statusAnswer(
      'hub',
      openKept(() => runs, clock),
      clock,
    ),
  );
  let most_bytes = 0;
  const ask = async (from: number): Promise<{ runs: RunStatus[]; next: number | null }> => {
    const text = await (await app.request(statusPath(from))).text();
    most_bytes = Math.max(most_bytes, Buffer.byteLength(text));
    return JSON.parse(text);
  };
  const pages = await allPages(ask);
  assert.ok(pages.length >= 2 && most_bytes <= WIRE_LIMITS.message_bytes, `${pages.length} pages, ${most_bytes} bytes`);
  assert.deepEqual(joinedRuns(pages), runs);
  const frame = encodeMessage({ type: 'status', ...statusPage(runs) });
  const heard = decodeForObserver(frame);
  assert.ok(heard.type === 'status' && heard.next === statusPage(runs).next && heard.next !== null);
});

test('what is no page is said to be none, and one that goes round in circles is not followed', async () => {
  const clock = { elapsed_ms: () => 0 };
  const app = new Hono().get(
    '/status',
    statusAnswer(
      'hub',
      openKept(() => runsOf([1]), clock),
      clock,
    ),
  );
  for (const from of ['-1', '1.5', 'x', '1e9', '9'.repeat(20)]) {
    assert.equal((await app.request(`/status?from=${from}`)).status, 400, from);
  }
  const beyond = (await (await app.request('/status?from=500')).json()) as { runs: unknown[]; next: null };
  assert.deepEqual([beyond.runs, beyond.next], [[], null]);
  let asked = 0;
  await allPages(async () => {
    asked++;
    return { next: 5 };
  });
  assert.equal(asked, 2);
  await allPages(async (from) => {
    asked++;
    return { next: from + 1 };
  });
  assert.equal(asked, 102);
});
