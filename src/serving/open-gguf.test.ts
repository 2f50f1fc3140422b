// A GGUF file from elsewhere: offered by its hash and only with a licence, its tokens by what it says of them, engines found or named.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { ggufFile } from '../model/gguf.ts';
import type { GgufValue } from '../model/gguf-header.ts';
import { writeWhole } from '../protocol/whole-file.ts';
import { ggufTokens, ggufTokenTable } from './gguf-tokens.ts';
import { findLlama, installCommand } from './llama-package.ts';
import { openGguf } from './open-gguf.ts';
import { testModel, writeGguf } from './testing/engine-models.ts';

const folder = mkdtempSync(join(tmpdir(), 'potluck-open-gguf-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const model = testModel();
const path = await writeGguf(join(folder, 'found.gguf'), model, 'q8_0');

test('what a file offers: its hash, its quantisation, its licence', async () => {
  const { created_ms, ...offered } = await openGguf(path);
  assert.deepEqual(offered, {
    ...{ name: 'a test', hash: createHash('sha256').update(readFileSync(path)).digest('hex'), quantisation: 'q8_0' },
    ...{ engine: 'llama.cpp', context_tokens: 160, licence: 'CC0-1.0', chat: true, tools: false, embeddings: false },
    chat_template: null,
  });
  assert.ok(Math.abs(created_ms - Date.now()) < 3_600_000);
  const named = await openGguf(path, { name: 'mine', licence: 'MIT', context_tokens: 32 });
  assert.deepEqual([named.name, named.licence, named.context_tokens], ['mine', 'MIT', 32]);
});

test('a file without a licence is offered only with one', async () => {
  const bare = join(folder, 'bare.gguf');
  const { config, tokenizer, weights } = model;
  const file = ggufFile({ config, tokenizer, type: 'f32', name: ' ' }, [...weights.values()]);
  await writeWhole(bare, file);
  for (const licence of [undefined, '', '  \n']) {
    await assert.rejects(openGguf(bare, { licence }), { code: 'unsupported', message: /no licence/ });
  }
  const offered = await openGguf(bare, { licence: ' do as you like\n' });
  assert.deepEqual([offered.name, offered.licence, offered.quantisation], ['bare', 'do as you like', 'f32']);
  await assert.rejects(openGguf(bare, { licence: 'x'.repeat(200_000) }), { code: 'too-large' });
  await assert.rejects(openGguf(path, { context_tokens: 161 }), { code: 'bad-input', message: /1\.\.160/ });
  await assert.rejects(openGguf(join(folder, 'none.gguf')), { code: 'missing-file' });
});

test('a chat template is known by its marks, or the model is none to talk to', async () => {
  const { config, tokenizer, weights } = model;
  const about = { config, tokenizer, type: 'f32', name: 'a test', licence: 'MIT' } as const;
  const offeredWith = async (chat_template: string) => {
    const file = join(folder, 'template.gguf');
    await writeWhole(file, ggufFile({ ...about, chat_template }, [...weights.values()]));
    return openGguf(file);
  };
  const known = await offeredWith('{{ "<|im_start|>" }} … {{ "<|im_end|>" }}');
  assert.deepEqual([known.chat, known.chat_template?.includes('im_start')], [true, true]);
  assert.equal((await offeredWith('{{ something }}')).chat, false);
});

describe('tokens', () => {
  const entries = {
    'tokenizer.ggml.model': 'llama',
    'tokenizer.ggml.tokens': ['<unk>', '<s>', '</s>', '<0x0A>', '<0xE2>', '▁the', 'ä', '<tool>', '[PAD8]'],
    'tokenizer.ggml.token_type': [2, 3, 3, 6, 6, 1, 1, 4, 5],
    'tokenizer.ggml.bos_token_id': 1,
  };
  const read = (changes: Readonly<Record<string, GgufValue | undefined>> = {}) => {
    const all = Object.entries({ ...entries, ...changes }).filter(([, value]) => value !== undefined);
    return ggufTokens({ metadata: new Map(all as [string, GgufValue][]) });
  };

  test("SentencePiece's bytes and spaces", () => {
    const table = ggufTokenTable(
      read(),
      (text) => Uint32Array.of(text.length),
      (id) => id === 2,
    );
    const bytes = Array.from({ length: 9 }, (_, id) => Buffer.from(table.bytesOf(id)).toString('latin1'));
    assert.deepEqual(bytes, ['', '', '', '\n', '\xe2', ' the', '\xc3\xa4', '<tool>', '']);
    assert.deepEqual([table.vocab_size, table.bos_id, table.end_ids, table.unused_ids], [9, 1, [2], [8]]);
    assert.deepEqual([table.encode('', true), table.encode('abc', true)], [[], [3]]);
  });

  test('byte-level ones, and a file that says how texts begin', () => {
    const gpt2 = {
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.tokens': ['Ġa', '日'],
      'tokenizer.ggml.token_type': [1, 1],
    };
    const tokens = read(gpt2);
    assert.equal(tokens.bos_id, null);
    assert.equal(read({ ...gpt2, 'tokenizer.ggml.add_bos_token': true }).bos_id, 1);
    assert.equal(read({ 'tokenizer.ggml.add_bos_token': false }).bos_id, null);
    const table = ggufTokenTable(
      tokens,
      () => [],
      () => false,
    );
    assert.equal(Buffer.from(table.bytesOf(0)).toString(), ' a');
    assert.equal(Buffer.from(table.bytesOf(1)).toString(), '日');
  });

  test('lists that do not fit each other are refused', () => {
    const refusals: [Readonly<Record<string, GgufValue | undefined>>, string][] = [
      [{ 'tokenizer.ggml.model': 'bert' }, 'unsupported'],
      [{ 'tokenizer.ggml.model': undefined }, 'unsupported'],
      [{ 'tokenizer.ggml.tokens': ['a', 1] }, 'corrupt-file'],
      [{ 'tokenizer.ggml.tokens': 'abc' }, 'corrupt-file'],
      [{ 'tokenizer.ggml.tokens': ['a'] }, 'corrupt-file'],
      [{ 'tokenizer.ggml.tokens': ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'a'] }, 'corrupt-file'],
      [{ 'tokenizer.ggml.token_type': [1, 2] }, 'corrupt-file'],
      [{ 'tokenizer.ggml.scores': [0.5] }, 'corrupt-file'],
      [{ 'tokenizer.ggml.scores': ['a'] }, 'corrupt-file'],
      [{ 'tokenizer.ggml.bos_token_id': 9 }, 'corrupt-file'],
      [{ 'tokenizer.ggml.eot_token_id': -1 }, 'corrupt-file'],
      [{ 'tokenizer.ggml.eos_token_id': 2n }, 'corrupt-file'],
    ];
    for (const [changes, code] of refusals)
      assert.throws(() => read(changes), { code }, JSON.stringify(Object.keys(changes)));
  });
});

describe('llama.cpp', () => {
  const nowhere = join(folder, 'engines');

  test('that is not installed is named with the command that installs it here', () => {
    const mac = { platform: 'darwin', arch: 'arm64' } as const;
    const command = `npm install --ignore-scripts --prefix "${nowhere}" @node-llama-cpp/mac-arm64-metal@3.22.1`;
    assert.equal(installCommand(mac, nowhere), command);
    assert.throws(
      () => findLlama(mac, nowhere),
      (error: Error) => {
        assert.match(error.message, /is not installed; this installs it: npm install/);
        assert.ok(error.message.endsWith(command));
        return (error as { code?: string }).code === 'no-engine';
      },
    );
    assert.throws(() => findLlama({ platform: 'sunos', arch: 'x64' }, nowhere), {
      code: 'no-engine',
      message: /sunos-x64/,
    });
  });

  test('of another version is not loaded', () => {
    const home = join(nowhere, 'node_modules', '@node-llama-cpp', 'win-x64');
    mkdirSync(home, { recursive: true });
    const windows = { platform: 'win32', arch: 'x64' } as const;
    const put = (version: string) => writeFileSync(join(home, 'package.json'), JSON.stringify({ version }));
    put('3.21.0');
    assert.throws(() => findLlama(windows, nowhere), {
      code: 'no-engine',
      message: /is version 3\.21\.0, expected 3\.22\.1/,
    });
    put('3.22.1');
    assert.deepEqual(findLlama(windows, nowhere), {
      version: '3.22.1',
      folder: join(home, 'bins', 'win-x64'),
      binding: join(home, 'bins', 'win-x64', 'llama-addon.node'),
    });
  });
});
