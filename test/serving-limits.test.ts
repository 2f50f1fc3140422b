// `potluck rules limits` on a hub: shows what is published, publishes what a bench has measured, and refuses what cannot be limits.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { schemaOf } from '../src/cli/json-objects.ts';
import { limitsCommand } from '../src/cli/rules-limits.ts';
import { printed } from '../src/cli/testing/printed.ts';
import { loadGame } from '../src/games/registry.ts';
import { createGameRun } from '../src/owner/owner.ts';
import { trainingFor } from '../src/owner/run-settings.ts';
import { loadOrCreateIdentity } from '../src/protocol/identity-file.ts';
import { hubHere } from './hub-here.ts';

const MEASURED = {
  ...{ per_draw: 0.0002, allowance: 0.17, end_margin: 0.1, logprob_distance: 0.0047 },
  ...{ usual_per_draw: 0.0001, sum: 0.5 },
};
const IN_MICRO = {
  ...{ per_draw_micro: 200, allowance_micro: 170_000, end_margin_micro: 100_000, logprob_distance_micro: 4700 },
  ...{ usual_per_draw_micro: 100, sum_micro: 500_000 },
};

const limits = (...args: string[]): Promise<string> => printed(limitsCommand(), ...args);

test('a run’s owner publishes limits, and everybody reads them', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-limits-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const hub = await hubHere(t);
  const key = join(folder, 'owner.key');
  const { schedule } = trainingFor({
    ...{ rounds: 5, steps: 5, batch: 1, context: 2, min_workers: 1, learning_rate: 1, round_seconds: 1 },
  });
  const settings = { name: 'a run', game: await loadGame('addition-chain'), settings: {}, schedule };
  const run = await createGameRun(hub.url, await loadOrCreateIdentity(key), folder, settings);
  const about = [run.slice(0, 10), '--hub', hub.url, '--owner', key];
  const file = (given: unknown): string => {
    const path = join(folder, 'limits.json');
    writeFileSync(path, JSON.stringify(given));
    return path;
  };
  assert.match(await limits(...about), /has published no limits/);
  const other = { ...MEASURED, promised: 'q8_0', judged: 'f32' };
  const measured = [{ ...MEASURED, promised: 'f32', judged: 'f32' }, other, { ...other, judged: 'q8_0', sum: 0.7 }];
  const found = JSON.parse(await limits(...about, '--file', file(measured), '--json'));
  assert.ok(schemaOf(found.type)!.safeParse(found).success);
  assert.deepEqual([found.run, found.published], [run, 2]);
  assert.deepEqual(found.margins, { f32: IN_MICRO, q8_0: { ...IN_MICRO, sum_micro: 700_000 } });
  await limits(...about, '--file', file([{ ...other, judged: 'q8_0', per_draw: 0.0003 }]));
  const text = await limits(...about);
  assert.match(text, /f32 {4}an answer: 0\.17 and 0\.0002 a draw/);
  assert.match(text, /q8_0 {3}an answer: 0\.17 and 0\.0003 a draw.*together: 0\.5 above 0\.0001 a draw/);

  const wrong: readonly [unknown, RegExp][] = [
    [{}, /--file: /],
    [[other], /judged in itself, got none/],
    [[{ ...MEASURED, promised: 'f32', judged: 'f32', sum: 0 }], /--file: f32: sum_micro/],
    [[{ ...MEASURED, promised: 'f32', judged: 'f32', sum: undefined }], /--file: .*sum/],
  ];
  for (const [given, message] of wrong)
    await assert.rejects(limits(...about, '--file', file(given)), { code: 'bad-argument', message });
  const stranger = join(folder, 'stranger.key');
  await loadOrCreateIdentity(stranger);
  const byStranger = limits(...about.slice(0, 3), '--owner', stranger, '--file', file(measured));
  await assert.rejects(byStranger, { code: 'refused', details: { refusal: 'not-the-owner' } });
});
