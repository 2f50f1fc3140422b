// A model from elsewhere goes on: of another family, its embedding padded beyond its tokenizer, in a run and home again.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { exportModel, importModel, nameOfFolder } from '../src/model/checkpoint-folder.ts';
import { LlamaConfigSchema } from '../src/model/config.ts';
import { readGgufHeader } from '../src/model/gguf-header.ts';
import { initialWeights } from '../src/model/init.ts';
import { byteTokenizer } from '../src/model/tokenizer.ts';
import { hubHere } from './hub-here.ts';
import { network } from './network.ts';

const config = LlamaConfigSchema.parse({
  ...{ model_type: 'qwen2', vocab_size: 320, hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1 },
  ...{ num_attention_heads: 2, max_position_embeddings: 16, tie_word_embeddings: true },
});

test('a Qwen2 model of 320 rows with a tokenizer of 257 ids is trained and exported as what it was', async (t) => {
  const net = network(t);
  const dir = join(net.folder, 'qwen');
  const before = initialWeights(config, 'elsewhere');
  await exportModel(dir, { config, weights: before, tokenizer: byteTokenizer() });
  const { url } = await hubHere(t);
  const text = join(net.folder, 'text.txt');
  const create = ['run', 'create', '--hub', url, '--data', text, '--json', '--context', '16'];
  const small = LlamaConfigSchema.parse({ ...config, vocab_size: 256 });
  const few = join(net.folder, 'few');
  const tokenizer = { ...byteTokenizer(), vocab_size: 256 };
  await exportModel(few, { config: small, weights: initialWeights(small, 'x'), tokenizer });
  await rm(join(few, 'tokenizer.json'));
  const refused = async (flags: readonly string[], says: RegExp) => {
    const potluck = net.ask(...create, ...flags);
    assert.equal(await potluck.ended, 1);
    assert.match(potluck.stdout(), says);
  };
  await refused(['--from', few], /no tokenizer\.json; name one with --tokenizer/);
  const ids = /the tokenizer of \S+ has ids up to 256, the model of \S+ rows for ids up to 255/;
  await refused(['--from', few, '--tokenizer', join(dir, 'tokenizer.json')], ids);

  const created = net.ask(...create, '--from', dir, '--rounds', '2', '--steps', '4');
  const { run } = await created.line((line) => line.type === 'created');
  const peers = [net.joinTogether(url, 'ada'), net.joinTogether(url, 'vera', '--role', 'validator')];
  assert.deepEqual(await Promise.all(peers.map((peer) => peer.ended)), [0, 0]);
  const target = join(net.folder, 'home again');
  assert.equal(await net.ask('export', String(run), target, '--hub', url).ended, 0);
  const written = JSON.parse(readFileSync(join(target, 'config.json'), 'utf8'));
  assert.deepEqual([written.architectures, written.vocab_size], [['Qwen2ForCausalLM'], 320]);
  const back = await importModel(target);
  assert.deepEqual(back.config, config);
  const bias = 'model.layers.0.self_attn.q_proj.bias';
  assert.notDeepEqual(back.weights.get(bias), before.get(bias), 'biases are trained too');
  assert.equal(back.tokenizer?.vocab_size, 257);

  const one_file = join(net.folder, 'one file');
  const words = ['export', String(run), one_file, '--hub', url, '--format', 'gguf', '--quantisation', 'q8_0'];
  assert.equal(await net.ask(...words).ended, 0);
  const { metadata, tensors } = await readGgufHeader(join(one_file, 'model.gguf'));
  assert.equal(metadata.get('general.architecture'), 'qwen2');
  assert.equal(metadata.get('potluck.run'), run);
  assert.equal(metadata.get('potluck.model'), await nameOfFolder(target));
  assert.equal(tensors.find(({ name }) => name === 'blk.0.ffn_down.weight')?.type, 'q8_0');
  assert.equal(await net.ask('verify', one_file).ended, 0);
});
