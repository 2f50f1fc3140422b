// `potluck serve` and `potluck chat` as people start them: real processes, an exported model, and three clients.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { ChatOpenAI } from '@langchain/openai';
import { streamText } from 'ai';
import OpenAI, { APIError } from 'openai';
import { exportModel } from '../src/model/checkpoint-folder.ts';
import { GIVES_BACK } from '../src/serving/freed-memory.ts';
import { missingLlama } from '../src/serving/llama-package.ts';
import { testModel, writeGguf } from '../src/serving/testing/engine-models.ts';
import { hubHere } from './hub-here.ts';
import { type Network, network } from './network.ts';

const POTLUCK = join(import.meta.dirname, '..', 'bin', 'potluck.js');

/** A model of random weights as `potluck export` writes one. */
async function modelIn(folder: string): Promise<string> {
  await exportModel(folder, testModel({ max_position_embeddings: 256 }));
  return folder;
}

async function serving(
  net: Network,
  ...words: string[]
): Promise<{ url: string; potluck: ReturnType<Network['start']> }> {
  const potluck = net.start('serve', ...words, '--port', '0', '--json');
  const { url } = await potluck.line((line) => line.type === 'serving');
  return { url: String(url), potluck };
}

const clientOf = (url: string, apiKey = 'none') => new OpenAI({ apiKey, baseURL: url, maxRetries: 0 });
/** A conversation without an end of the text, so that answers have their length. */
const ASKED = {
  ...{ model: 'tiny', messages: [{ role: 'user', content: 'Hello' }], seed: 3, max_tokens: 16 },
  logit_bias: { 256: -100 },
} satisfies OpenAI.ChatCompletionCreateParams;

/** Runs `potluck chat` with lines on its standard input. */
async function chat(net: Network, lines: readonly string[], ...words: string[]) {
  const { ended, stdout, stderr } = net.startWith(lines, 'chat', ...words);
  return { code: await ended, out: stdout(), err: stderr() };
}

describe('a model on this machine', () => {
  test('answers the three clients and a conversation in the terminal, and ends its streams when it is stopped', async (t) => {
    const net = network(t);
    const { url, potluck } = await serving(net, await modelIn(join(net.folder, 'tiny')));
    if (process.platform === 'linux') {
      const environment = readFileSync(`/proc/${potluck.process.pid}/environ`, 'latin1').split('\0');
      assert.ok(environment.includes(`MALLOC_MMAP_THRESHOLD_=${GIVES_BACK.MALLOC_MMAP_THRESHOLD_}`));
    }
    assert.match(url, /^http:\/\/localhost:\d+\/v1$/);
    const { choices, system_fingerprint } = await clientOf(url).chat.completions.create(ASKED);
    const text = choices[0].message.content;
    assert.match(system_fingerprint!, /^own-f32-[0-9a-f]{12}$/);
    const { text: streamed } = streamText({
      model: createOpenAICompatible({ name: 'potluck', baseURL: url })('tiny'),
      ...{ prompt: 'Hello', seed: 3, maxOutputTokens: 16 },
      providerOptions: { potluck: { logit_bias: ASKED.logit_bias } },
    });
    assert.equal(await streamed, text);
    const chain = new ChatOpenAI({
      ...{ model: 'tiny', apiKey: 'none', maxTokens: 16, configuration: { baseURL: url } },
      modelKwargs: { seed: 3, logit_bias: ASKED.logit_bias },
    });
    assert.equal((await chain.invoke('Hello')).content, text);
    const answered = await potluck.line((line) => line.type === 'answered');
    assert.deepEqual([answered.model, answered.completion_tokens, answered.end], ['tiny', 16, 'whole']);
    assert.ok(!potluck.stdout().includes('Hello'), 'what was asked is written nowhere');

    const once = await chat(
      net,
      ['Hello', '', '/new', 'Hello', '/exit', 'never said'],
      url,
      '--seed',
      '3',
      '--max-tokens',
      '16',
      '--json',
    );
    assert.deepEqual([once.code, once.err], [0, '']);
    const said = once.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      said.map(({ type, text }) => [type, text]),
      [
        ['said', said[0].text],
        ['said', said[0].text],
      ],
    );
    const plain = await chat(net, ['Hello'], url, '--seed', '3', '--max-tokens', '16');
    assert.equal(plain.code, 0);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a pipe gets none of them
    assert.doesNotMatch(plain.out, /\x1b|^> /m);
    // More turns than the model's context holds: the oldest are left out, and the conversation goes on.
    const long = await chat(net, Array(12).fill('tell me more about it'), url, '--max-tokens', '16', '--json');
    assert.equal(long.out.trim().split('\n').length, 12, long.err);

    const stream = await clientOf(url).chat.completions.create({ ...ASKED, max_tokens: 200, stream: true });
    let chunks = 0;
    await assert.rejects(
      async () => {
        for await (const _ of stream) if (chunks++ === 3) potluck.process.kill('SIGTERM');
      },
      (error) => error instanceof APIError && error.code === 'engine_ended',
    );
    assert.ok(chunks > 3 && chunks < 150, `${chunks} chunks`);
    assert.equal(await potluck.ended, 0);
    const gone = await chat(net, ['Hello'], url);
    assert.equal(gone.code, 1);
    assert.match(gone.err, /^potluck: nothing answers at http:\/\/localhost:\d+\/v1: .+\n$/);
  });

  test('in a GGUF file answers as its folder does', { skip: missingLlama() ?? false }, async (t) => {
    const net = network(t);
    const model = testModel({ max_position_embeddings: 256 });
    await exportModel(join(net.folder, 'tiny'), model);
    await writeGguf(join(net.folder, 'tiny.gguf'), model);
    const greedy = async (...words: string[]) => {
      const { url, potluck } = await serving(net, ...words);
      const { choices, system_fingerprint } = await clientOf(url).chat.completions.create({ ...ASKED, temperature: 0 });
      const [{ licence }] = (await clientOf(url).models.list()).data as unknown as { licence: string | null }[];
      potluck.process.kill('SIGTERM');
      assert.equal(await potluck.ended, 0);
      return { text: choices[0].message.content, engine: system_fingerprint!.split('-')[0], licence };
    };
    const own = await greedy(join(net.folder, 'tiny'), '--licence', 'MIT');
    const gguf = await greedy(join(net.folder, 'tiny.gguf'));
    assert.deepEqual([own.engine, own.licence, gguf.engine, gguf.licence], ['own', 'MIT', 'llama.cpp', 'CC0-1.0']);
    assert.equal(gguf.text, own.text);
  });

  test('of a run at a hub is the present one, by its hash in the log', async (t) => {
    const net = network(t);
    const { url: hub } = await hubHere(t);
    const run = await net.createRun(hub);
    const { url } = await serving(net, `${run.slice(0, 8)}@${hub}`, '--name', 'present');
    const [model] = (await clientOf(url).models.list()).data as unknown as { id: string; hash: string }[];
    const { runs } = (await (await fetch(`${hub}/status`)).json()) as { runs: { model: string }[] };
    assert.deepEqual([model.id, model.hash], ['present', runs[0].model]);
    const asked = { model: 'present', prompt: 'Line', max_tokens: 4, logit_bias: ASKED.logit_bias };
    const { usage } = await clientOf(url).completions.create(asked);
    assert.equal(usage!.completion_tokens, 4);
  });

  test('and another are a committee, whose scorer reads what each has written', async (t) => {
    const net = network(t);
    const [one, two, scorer] = await Promise.all(
      ['one', 'two', 'scorer'].map((name) => modelIn(join(net.folder, name))),
    );
    const { url } = await serving(net, one, two, '--scorer', scorer);
    const { data } = await clientOf(url).models.list();
    assert.deepEqual(
      data.map(({ id }) => id),
      ['one', 'two'],
      'nobody asks the scorer',
    );
    const asked = { model: 'committee:one+two', prompt: '1+1=', seed: 3, max_tokens: 6, logit_bias: {} };
    const { usage } = await clientOf(url).completions.create(asked);
    const [prompts, read] = [2 * 5, 2 * ('one\n1+1=\n?'.length + 1)];
    assert.ok(usage!.prompt_tokens > prompts + read, `${usage!.prompt_tokens} tokens`);
  });

  test('of the demo is the newest one', async (t) => {
    const net = network(t);
    const demo = join(net.folder, 'potluck-data', 'demo');
    await modelIn(join(demo, 'model-00000001'));
    await modelIn(join(demo, 'model-00000002'));
    mkdirSync(join(demo, 'model-unfinished'));
    utimesSync(join(demo, 'model-00000001', 'config.json'), new Date(), new Date(Date.now() - 60_000));
    const child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', POTLUCK, 'serve', '--port', '0', '--json'],
      {
        cwd: net.folder,
      },
    );
    t.after(() => child.kill('SIGKILL'));
    const line = await new Promise<string>((resolve) => child.stdout.once('data', (bytes) => resolve(String(bytes))));
    const { models } = JSON.parse(line);
    assert.deepEqual(
      models.map(({ name }: { name: string }) => name),
      ['demo'],
    );
    assert.equal(models[0].created_ms, Math.round(statSync(join(demo, 'model-00000002', 'config.json')).mtimeMs));
  });
});

describe('who may ask', () => {
  test('with keys only whoever has one, until it is removed; the file is its owner’s alone', async (t) => {
    const net = network(t);
    const folder = await modelIn(join(net.folder, 'tiny'));
    const refused = net.ask('serve', folder, '--host', '0.0.0.0', '--port', '0');
    assert.equal(await refused.ended, 1);
    assert.match(
      refused.stderr(),
      /lets other machines in, whose callers need keys, and there are none: .* serve keys add/,
    );
    const made = await net
      .ask('serve', 'keys', 'add', 'laptop', '--requests', '2', '--json')
      .line((line) => line.type === 'key_made');
    const file = join(net.folder, 'home', 'serve', 'keys.json');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const { url } = await serving(net, folder, '--keys');
    await assert.rejects(clientOf(url).models.list(), { status: 401 });
    const client = clientOf(url, String(made.key));
    for (let i = 0; i < 2; i++) await client.chat.completions.create(ASKED);
    await assert.rejects(client.chat.completions.create(ASKED), { status: 429, code: 'rate_limit_exceeded' });
    const listed = await net.ask('serve', 'keys', 'list', '--json').line((line) => line.type === 'keys');
    assert.doesNotMatch(JSON.stringify(listed), /hash|sk-potluck/);
    assert.equal(await net.ask('serve', 'keys', 'remove', 'laptop').ended, 0);
    // The server looks at the file again within a second.
    const locked = async () =>
      client.models.list().then(
        () => false,
        ({ status }: { status: number }) => status === 401,
      );
    while (!(await locked())) await new Promise(setImmediate);
  });

  test('without keys no page of a stranger, under whatever name', async (t) => {
    const net = network(t);
    const { url } = await serving(net, await modelIn(join(net.folder, 'tiny')), '--origin', 'https://chat.example');
    const from = async (headers: Record<string, string>) => (await fetch(`${url}/models`, { headers })).status;
    assert.equal(await from({}), 200);
    assert.equal(await from({ origin: 'http://localhost:3000' }), 200);
    assert.equal(await from({ origin: 'https://chat.example' }), 200);
    for (const origin of ['https://evil.example', 'null', 'https://localhost.evil.example']) {
      assert.equal(await from({ origin }), 403, origin);
    }
  });
});

test('what is no model, or cannot be served so, is told in a line', async (t) => {
  const net = network(t);
  mkdirSync(join(net.folder, 'empty'));
  writeFileSync(join(net.folder, 'notes.txt'), 'text');
  const cases: [string[], RegExp][] = [
    [[join(net.folder, 'empty')], /is no folder of a model: it has no config.json/],
    [[join(net.folder, 'notes.txt')], /expected a folder of a model or a .gguf file, got the file/],
    [[join(net.folder, 'none')], /no model at .*: expected a folder, a .gguf file, or RUN@URL of a hub/],
    [['a', 'b', '--name', 'c'], /no model at a/],
  ];
  for (const [words, says] of cases) {
    const asked = net.ask('serve', ...words);
    assert.equal(await asked.ended, 1, words.join(' '));
    assert.match(asked.stderr(), says);
  }
});
