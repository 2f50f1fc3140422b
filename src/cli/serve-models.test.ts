// Which form of conversation a folder's model gets: its own where that is known, the training data's where it has none, otherwise none.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { exportModel } from '../model/checkpoint-folder.ts';
import { LlamaConfigSchema } from '../model/config.ts';
import { initialWeights } from '../model/init.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { AnswerRequestSchema } from '../serving/answers.ts';
import { openModels } from './serve-models.ts';

const folder = mkdtempSync(join(tmpdir(), 'serve-models-'));
after(() => rmSync(folder, { recursive: true }));
const config = LlamaConfigSchema.parse({
  ...{ vocab_size: 257, hidden_size: 8, intermediate_size: 16, num_hidden_layers: 1 },
  ...{ num_attention_heads: 2, max_position_embeddings: 64 },
});
await exportModel(folder, { config, weights: initialWeights(config, 1), tokenizer: byteTokenizer() });

const TEXT = {
  ...{ model: 'tiny', prompt: { kind: 'text', text: 'a' }, written: [], max_tokens: 20, stop: [], echo: false },
  ...{ top_logprobs: null },
  sampling: { seed: '1', temperature: 1, top_p: 1, presence_penalty: 0, frequency_penalty: 0, logit_bias: [] },
} as const;

const open = () =>
  openModels([{ kind: 'folder', path: folder, name: 'tiny' }], {
    threads: 1,
    places: 1,
    licence: null,
    onTransfer: () => {},
    onNews: () => {},
  });

test('a model whose template nobody knows has no conversations, but answers in forms; one without a template has both', async () => {
  for (const [template, chat] of [
    [null, true],
    ["{{ '<turn>' + messages[0].content }}", false],
    ['plain', true],
  ] as const) {
    if (template !== null) writeFileSync(join(folder, 'chat_template.jinja'), template);
    const server = await open();
    const [model] = server.models();
    assert.deepEqual([model.chat, model.tools], [chat, chat], String(template));
    const request = AnswerRequestSchema.parse({ ...TEXT, format: { kind: 'json' } });
    let text = '';
    for await (const event of server.answer(request, new AbortController().signal)) {
      if (event.kind === 'token' || event.kind === 'ended') text += event.text;
    }
    assert.match(text, /^\s*\{/);
    await server.close();
  }
});

test('a model whose template needs tokens that it lacks is not served', async () => {
  writeFileSync(join(folder, 'chat_template.jinja'), "{{ '<|im_start|>' + role + content + '<|im_end|>' }}");
  await assert.rejects(open(), {
    code: 'unsupported',
    message: /no special token <\|im_start\|> or <\|im_end\|>.*chatml/,
  });
});
