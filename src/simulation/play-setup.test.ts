// What `potluck play` begins with: the settings that a person gives replace the game's own, and wrong ones are refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PretrainParams } from '../games/pretrain/params.ts';
import { setUpGame } from './play-setup.ts';

const NO_RUNTIME = null as never;
const paramsFor = async (settings: unknown): Promise<PretrainParams> =>
  (await setUpGame('pretrain', settings, {}, NO_RUNTIME)).params as PretrainParams;

test('pretrain takes its settings from --params, those of the model one by one', async () => {
  const usual = await paramsFor(null);
  const changed = await paramsFor({ inner_steps: 5, model: { num_hidden_layers: 2 } });
  assert.notEqual(usual.inner_steps, 5);
  assert.deepEqual(
    [changed.inner_steps, changed.batch, changed.model.num_hidden_layers, changed.model.hidden_size],
    [5, usual.batch, 2, usual.model.hidden_size],
  );
  await assert.rejects(paramsFor({ inner_steps: -1 }), { code: 'bad-params' });
  await assert.rejects(paramsFor({ batch: 0 }), { code: 'bad-params' });
});
