// `potluck distil` as people use it, each part a process of its own: a teacher that is served, a hub, two workers whose student learns from it, a validator.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { exportModel } from '../src/model/checkpoint-folder.ts';
import type { Weights } from '../src/model/config.ts';
import { byteTokenizer } from '../src/model/tokenizer.ts';
import { TINY_CONFIG, tinyWeights } from '../src/serving/testing/tiny-model.ts';
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

test('a student learns from what a teacher writes and thinks, on two devices; their work is judged and paid; the teacher is asked once', async (t) => {
  const net = network(t);
  const folder = join(net.folder, 'letters');
  await exportModel(folder, { config: TINY_CONFIG, weights: letters(), tokenizer: byteTokenizer() });
  const served = net.start('serve', folder, '--port', '0', '--json');
  const { url: teacher_url } = await served.line(({ type }) => type === 'serving');
  const { url } = await hubHere(t);
  const teacher = ['--teacher', String(teacher_url), '--budget', '4200', '--text-tokens', '80'];
  const kept = ['--taught', join(net.folder, 'taught'), '--at-once', '3', '--json'];
  const run = ['--hub', url, '--rounds', '3', '--steps', '10', '--round-seconds', '20', '--min-workers', '2', ...TINY];

  const collected = net.ask('distil', ...teacher, ...kept, '--collect-only');
  assert.equal(await collected.ended, 0, collected.stderr());
  const taught = await collected.line(({ type }) => type === 'taught');
  assert.deepEqual([taught.asked, taught.model], [true, 'letters']);
  assert.ok(Number(taught.spent_tokens) <= 4200);
  const answers = () => served.lines.filter(({ type }) => type === 'answered').length;
  const asked = answers();
  assert.ok(asked > 4200 / 82 - 1, `${asked} texts`);

  const created = net.ask('distil', ...teacher, ...kept, ...run);
  assert.equal(await created.ended, 0, created.stderr());
  assert.equal((await created.line(({ type }) => type === 'taught')).asked, false);
  const id = String((await created.line(({ type }) => type === 'created')).run);

  const vera = net.joinTogether(url, 'vera', '--role', 'validator');
  await untilStatus(url, id, (s) => s.peers.some(({ role }) => role === 'validator'));
  const workers = ['ada', 'bob'].map((name) => net.joinTogether(url, name));
  assert.deepEqual(await Promise.all([...workers, vera].map(({ ended }) => ended)), [0, 0, 0]);
  assert.equal(answers(), asked, 'what is in the folder is not paid for again, and nobody at work asks');
  const status = await untilStatus(url, id, (s) => s.phase === 'finished' && s.evaluated_rounds === 3);
  const { first, last } = status.metrics[0];
  assert.ok(last! < first! - 0.1, `${first} → ${last}`);
  const judged = vera.lines.filter(({ type }) => type === 'judged');
  assert.ok(judged.length >= 3 && judged.every(({ accepted }) => accepted), JSON.stringify(judged));
  for (const name of ['ada', 'bob']) {
    assert.ok(status.peers.find((peer) => peer.name === name)!.credit_amount > 0, name);
  }

  const refused = async (says: RegExp, ...words: string[]) => {
    const told = net.ask('distil', ...words, '--taught', join(net.folder, 'none'), '--json');
    assert.notEqual(await told.ended, 0);
    assert.match(JSON.stringify(told.lines.at(-1)) + told.stderr(), says);
  };
  await refused(/expected the address of an API/, '--teacher', 'ftp://nobody');
  await refused(/--read goes with --data/, '--teacher', String(teacher_url), '--read');
  await refused(/404.*no model/, '--teacher', String(teacher_url), '--teacher-model', 'large', '--budget', '4200');
});
