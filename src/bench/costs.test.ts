// What a month costs follows from the settings: requests that a real round was seen to make, and sums that are the sums of their rows.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Values } from './bench.ts';
import { options, run } from './costs.ts';

const usual = Object.fromEntries(Object.entries(options).map(([name, option]) => [name, option.read(option.usual!)]));
const monthOf = async (given: Partial<Values<typeof options>>) => {
  const { data, text } = await run({ ...usual, ...given } as Values<typeof options>);
  return { ...(data as Bill), text };
};

interface Bill {
  readonly events_a_round: number;
  readonly cores: number;
  readonly uses: readonly { what: string; writes: number; reads: number; kept: number; sent: number }[];
  readonly bills: readonly { name: string; rows: readonly number[]; total: number }[];
}

test('one round of 5,000 works has the uploads and events that bench hub counts', async () => {
  const { uses, events_a_round } = await monthOf({ workers: 5000, round_minutes: 1440 * 29 });
  const writes = (what: RegExp): number =>
    uses.filter((use) => what.test(use.what)).reduce((sum, use) => sum + use.writes, 0);
  assert.equal(writes(/^work|evidence/), 20_000);
  assert.ok(Math.abs(events_a_round - 35_003) < 1);
});

test('ten times the workers cost ten times as much to serve, and a model twice as large twice', async () => {
  const sent = async (given: Parameters<typeof monthOf>[0]): Promise<number> =>
    (await monthOf(given)).uses.reduce((sum, use) => sum + use.sent, 0);
  const few = await sent({ workers: 100, validators: 10 });
  assert.ok(Math.abs((await sent({ workers: 1000, validators: 100 })) / few - 10) < 1e-9);
  assert.ok(Math.abs((await sent({ workers: 100, validators: 10, parameters: 200 })) / few - 2) < 1e-9);
});

test('writes to a bucket have an upper bound: one is on its way at a time, and heads are published at their pace', async () => {
  const { uses, bills, text } = await monthOf({ workers: 100_000, put_ms: 50 });
  assert.equal(uses.find(({ what }) => /journal/.test(what))!.writes, (30 * 86_400) / 0.05);
  assert.equal(uses.find(({ what }) => /readers/.test(what))!.reads, (30 * 86_400) / 5);
  for (const { rows, total } of bills) assert.ok(Math.abs(rows.reduce((sum, cost) => sum + cost, 0) - total) < 1e-6);
  assert.match(text, /list prices of \w+ \d{4}/);
});
