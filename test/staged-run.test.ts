// A run in stages on a hub: how it is created, and how its model is taken home.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askHub } from '../src/peer/find-run.ts';
import { RunViewSchema } from '../src/protocol/messages.ts';
import { network } from './network.ts';

test('a run in stages has the first model of the whole one, and is stored whole', async (t) => {
  const net = network(t);
  const { url } = await net.hub();
  const whole = await net.createRun(url);
  const cut = await net.createRun(url, '--stages', '3', '--micro-batches', '2');
  const view = async (run: string) => RunViewSchema.parse((await askHub(url, `/runs/${run}`)).json);
  const [one, other] = [await view(whole), await view(cut)];
  assert.equal(other.game, 'pipeline');
  assert.equal(other.model, one.model, 'the same tensors under the same names');
  assert.equal(other.checkpoint.model, other.model);
});
