// `potluck distil` as a person uses it: a teacher behind the API, a run on a hub, a worker and a validator whose student learns from both.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Weights } from '../src/model/config.ts';
import { openAnswerServer } from '../src/serving/answer-server.ts';
import { listeningApi } from '../src/serving/testing/small-server.ts';
import { openTinyEngine, TINY_CONFIG, TINY_CONTEXT, tinyWeights } from '../src/serving/testing/tiny-model.ts';
import { hubHere } from './hub-here.ts';
import { network, TINY, untilStatus } from './network.ts';

/** A teacher that writes lower-case letters: what a student learns in its first steps. */
function letters(): Weights {
  const weights = new Map(tinyWeights('teacher'));
  const [embedding, head] = ['model.embed_tokens.weight', 'lm_head.weight'].map((name) => weights.get(name)!.slice());
  const { vocab_size, hidden_size } = TINY_CONFIG;
  for (let id = 0; id < vocab_size; id++) {
    embedding[id * hidden_size] = 6; // so that this part of every hidden state is large
    head[id * hidden_size] = id >= 97 && id <= 122 ? 1 : -1;
  }
  return weights.set('model.embed_tokens.weight', embedding).set('lm_head.weight', head);
}

const engine = await openTinyEngine(letters(), { cache_tokens: 4 * TINY_CONTEXT });
const served = openAnswerServer([{ engine, name: 'tiny', licence: null, created_ms: 0 }]);
const api = await listeningApi(served);
let asked = 0;
api.http.on('request', () => asked++);
after(async () => {
  await api.close();
  await served.close();
});

test('a student learns from what a teacher writes and thinks; its work is checked and paid; the teacher is asked once', async (t) => {
  const net = network(t);
  const { url } = await hubHere(t);
  const teacher = ['--teacher', api.base_url, '--budget', '4200', '--text-tokens', '80'];
  const kept = ['--taught', join(net.folder, 'taught'), '--at-once', '3', '--json'];
  const run = ['--hub', url, '--rounds', '3', '--steps', '10', '--round-seconds', '20', ...TINY];

  const collected = net.ask('distil', ...teacher, ...kept, '--collect-only');
  assert.equal(await collected.ended, 0, collected.stderr());
  const taught = await collected.line(({ type }) => type === 'taught');
  assert.deepEqual([taught.asked, taught.model], [true, 'tiny']);
  assert.ok(Number(taught.spent_tokens) <= 4200);
  const questions = asked;

  const created = net.ask('distil', ...teacher, ...kept, ...run);
  assert.equal(await created.ended, 0, created.stderr());
  assert.equal((await created.line(({ type }) => type === 'taught')).asked, false);
  assert.equal(asked, questions, 'what is in the folder is not paid for again');
  const id = String((await created.line(({ type }) => type === 'created')).run);

  const vera = net.join(url, 'vera', '--role', 'validator');
  await untilStatus(url, id, (s) => s.peers.some(({ role }) => role === 'validator'));
  const ada = net.join(url, 'ada');
  assert.deepEqual(await Promise.all([ada.ended, vera.ended]), [0, 0]);
  const status = await untilStatus(url, id, (s) => s.phase === 'finished' && s.evaluated_rounds === 3);
  const { first, last } = status.metrics[0];
  assert.ok(last! < first! - 0.1, `${first} → ${last}`);
  assert.ok(status.peers.find(({ name }) => name === 'ada')!.credit_amount > 0);
});

test('a teacher with other tokens, without an address, or that refuses, gets no run', async (t) => {
  const net = network(t);
  const refused = async (says: RegExp, ...words: string[]) => {
    const told = net.ask('distil', ...words, '--taught', join(net.folder, 'none'), '--json');
    assert.notEqual(await told.ended, 0);
    assert.match(JSON.stringify(told.lines.at(-1)) + told.stderr(), says);
  };
  await refused(/expected the address of an API/, '--teacher', 'nobody');
  await refused(/--read goes with --data/, '--teacher', api.base_url, '--read');
  await refused(/404.*no model/, '--teacher', api.base_url, '--teacher-model', 'large', '--budget', '4200');
});
