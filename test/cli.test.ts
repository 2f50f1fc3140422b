// The command line: every command explains itself, and whatever is wrong is one clear line (or one JSON object) and a non-zero exit.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { exportModel } from '../src/model/checkpoint-folder.ts';
import { LlamaConfigSchema } from '../src/model/config.ts';
import { initialWeights } from '../src/model/init.ts';
import { byteTokenizer } from '../src/model/tokenizer.ts';
import { hubHere, tinyRun } from './hub-here.ts';
import { type Network, network, TINY } from './network.ts';

interface Ended {
  readonly code: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end; `own`: in a process of its own. */
async function run(net: Network, args: readonly string[], own = false): Promise<Ended> {
  const potluck = own ? net.start(...args) : net.ask(...args);
  const code = await potluck.ended;
  return { code, stdout: potluck.stdout(), stderr: potluck.stderr() };
}

const SMALL = LlamaConfigSchema.parse({
  ...{ vocab_size: 257, hidden_size: 16, intermediate_size: 16, num_hidden_layers: 1 },
  ...{ num_attention_heads: 2, max_position_embeddings: 16 },
});

const WORDS = [
  '',
  'demo',
  'hub',
  'run',
  'run create',
  'run list',
  'run pause',
  'run resume',
  'run end',
  'run move',
  'run register',
  'rules',
  'rules show',
  'rules limits',
  'rules propose',
  'game',
  'game new',
  'game validate',
  'play',
  'distil',
  'join',
  'device',
  'device show',
  'device set',
  'device pause',
  'device finish',
  'device resume',
  'device snooze',
  'status',
  'export',
  'id',
  'serve',
  'serve keys',
  'serve keys add',
  'serve keys list',
  'serve keys remove',
  'grade',
  'chat',
  'id lock',
  'id unlock',
  'audit',
  'plant',
  'ratings',
  'recheck',
  'contest',
  'why',
  'shares',
  'credit',
  'certificate',
  'stake',
  'stake show',
  'stake lock',
  'stake release',
  'settle',
  'verify',
  'completion',
];

test('--help on every command says what it does, shows examples, knows --json and ends with 0', async (t) => {
  const net = network(t);
  const listed = (help: string): string[] => {
    const commands = /\nCommands:\n([\s\S]*?)(\n\n|$)/.exec(help)?.[1] ?? '';
    return [...commands.matchAll(/^ {2}([a-z]+)/gm)].map(([, word]) => word).filter((word) => word !== 'help');
  };
  const seen = new Set<string>();
  let ahead = [''];
  while (ahead.length > 0) {
    const next: string[] = [];
    for (const words of ahead) {
      seen.add(words);
      const { code, stdout, stderr } = await run(net, [...words.split(' ').filter(Boolean), '--help'], words === '');
      assert.deepEqual([code, stderr], [0, ''], words);
      assert.match(stdout, /\nExamples?:\n {2}\$ potluck/, `potluck ${words} --help`);
      const parts = listed(stdout);
      next.push(...parts.map((part) => `${words} ${part}`.trim()));
      if (parts.length === 0) assert.match(stdout, /--json/, `potluck ${words} --help`);
    }
    ahead = next;
  }
  for (const words of WORDS) assert.ok(seen.has(words), `${words} is not listed by its parent's --help`);
});

/**
 * Each case must fail with one line that fits; the same with --json as one object with that code. The first of a list that is `apart` has two
 * processes of its own, which must end with what the others only set: an exit code.
 */
async function failures(
  net: Network,
  processes: 'apart' | 'shared',
  cases: readonly [string[], string, RegExp][],
): Promise<void> {
  for (const [i, [args, code, message]] of cases.entries()) {
    const own = processes === 'apart' && i === 0;
    const words = `potluck ${args.join(' ')}`;
    const told = await run(net, args, own);
    assert.ok(told.code === 1 || told.code === 2, `${words} ended with ${told.code}: ${told.stderr}`);
    const lines = told.stderr.split('\n').filter(Boolean);
    assert.equal(lines.length, 1, `${words}: ${told.stderr}`);
    assert.match(lines[0], /^potluck: /);
    assert.match(lines[0], message, words);
    assert.doesNotMatch(lines[0], /\bat .*\.ts:\d+|defect/);
    const asked = await run(net, [...args, '--json'], own);
    assert.equal(asked.code, told.code, words);
    assert.equal(asked.stderr, '', words);
    const objects = asked.stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    const { error } = objects.at(-1);
    assert.equal(error.code, code, words);
    assert.match(error.message, message);
    assert.equal(objects.filter((object) => 'error' in object).length, 1);
  }
}

const serve = (server: Server): Promise<number> =>
  new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)));

describe('what is wrong', () => {
  test('with the words', async (t) => {
    const net = network(t);
    await failures(net, 'apart', [
      [['dance'], 'usage', /unknown command 'dance'/],
      [['hub', '--prot', '1'], 'usage', /unknown option '--prot' .*Did you mean --port/],
      [['hub', '--port', 'many'], 'usage', /expected a whole number from 0 to 65535/],
      [['hub', 'extra'], 'usage', /too many arguments/],
      [['join'], 'bad-argument', /expected the address of a hub, or runs that are set/],
      [['join', 'x', '--role', 'king'], 'usage', /Allowed choices are worker, validator/],
      [['join', 'x', '--duty', '2'], 'usage', /expected a number from 0\.01 to 1/],
      [['status', 'ftp://x'], 'usage', /expected the address of a hub/],
      [['run', 'create'], 'bad-argument', /expected --data PATH: text to learn from/],
      [['demo', '--rounds', '0'], 'usage', /expected a whole number from 1 to 10000/],
      [['audit', './nope/hub'], 'usage', /no folder of a hub at \.\/nope\/hub/],
      [['run', 'create', '--data', 'x', '--params', 'y'], 'bad-argument', /--params and --game pretrain contradict/],
    ]);
  });

  test('with the hub: nothing listens, or something that is no hub', async (t) => {
    const net = network(t);
    const web = createServer((_, response) => response.end('<html>'));
    t.after(() => web.close());
    const other = `http://127.0.0.1:${await serve(web)}`;
    const closed = createServer();
    const nobody = `http://127.0.0.1:${await serve(closed)}`;
    await new Promise((resolve) => closed.close(resolve));
    const text = join(net.folder, 'text.txt');
    await failures(net, 'apart', [
      [['status', nobody], 'hub-unreachable', /no hub answers at http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/],
      [['join', nobody, '--alone'], 'hub-unreachable', /no hub answers at/],
      [['run', 'create', '--hub', nobody, '--data', text], 'hub-unreachable', /no hub answers at/],
      [['export', 'abc', join(net.folder, 'out'), '--hub', nobody], 'hub-unreachable', /no hub answers at/],
      [['status', other], 'not-a-hub', /expected a Potluck hub at/],
      [['join', other, '--alone'], 'not-a-hub', /expected a Potluck hub at/],
      [['run', 'create', '--hub', other, '--data', text], 'not-a-hub', /expected a Potluck hub at/],
    ]);
    assert.ok(!existsSync(join(net.folder, 'out')));
  });

  test('with a run, its files or its settings', async (t) => {
    const net = network(t);
    const { url } = await hubHere(t);
    const file = (name: string, content: string): string => {
      writeFileSync(join(net.folder, name), content);
      return join(net.folder, name);
    };
    const text = join(net.folder, 'text.txt');
    const empty = file('empty.txt', '');
    const noTokenizer = file('my-words.json', '{"model": 5}');
    const noModel = join(net.folder, 'model');
    mkdirSync(noModel);
    writeFileSync(join(noModel, 'config.json'), '{"architectures": ["Whisper"]}');
    const parquet = file('bad.parquet', 'PAR1 and nothing more');
    const small = join(net.folder, 'small');
    await exportModel(small, { config: SMALL, weights: initialWeights(SMALL, 'x'), tokenizer: byteTokenizer() });
    const create = (...more: string[]): string[] => ['run', 'create', '--hub', url, ...more];
    await failures(net, 'shared', [
      [create('--data', '/nowhere/at/all'), 'missing-file', /no file or folder at \/nowhere\/at\/all/],
      [create('--data', empty), 'no-text', /./],
      [create('--data', parquet), 'bad-record', /bad\.parquet/],
      [create('--data', text, '--tokenizer', noTokenizer), 'bad-tokenizer', /my-words\.json: model: Invalid input: /],
      [create('--data', text, '--tokenizer', text), 'bad-tokenizer', /text\.txt: not JSON/],
      [create('--data', text, '--tokenizer', join(net.folder, 'none.json')), 'missing-file', /none\.json/],
      [
        create('--data', text, '--from', noModel),
        'bad-config',
        /model: config\.json: model_type: Invalid input: [^✖→]*$/,
      ],
      [create('--data', text, '--from', text), 'missing-file', /no folder of a model at .*text\.txt/],
      [
        create('--data', text, '--from', small, '--context', '32'),
        'bad-argument',
        /--context 32 and --from \S+small contradict.* 16 positions/,
      ],
      [create('--data', text, '--from', join(net.folder, 'none')), 'missing-file', /none/],
      [create('--data', text, '--width', '12', '--heads', '4'), 'bad-params', /head_dim must be even/],
      [create('--data', text, '--heads', '4', '--kv-heads', '3'), 'bad-params', /multiple of num_key_value_heads/],
      [
        create('--data', text, '--heads', '64', '--width', '32'),
        'bad-params',
        /hidden_size must be at least num_attention_heads/,
      ],
      [
        ['join', url, '--alone'],
        'no-such-run',
        /expected a run, by its name or the beginning of its id; the hub has none/,
      ],
      [
        ['export', 'abc', join(net.folder, 'out'), '--hub', url],
        'no-such-run',
        /at least 4 digits of its id, got "abc"; the hub has none/,
      ],
    ]);
  });

  test('with a folder: taken, damaged, not to be written', async (t) => {
    const net = network(t);
    const { url } = await net.hub();
    const { port } = new URL(url);
    await net.createRun(url, '--min-workers', '2');
    const ada = net.join(url, 'ada');
    await ada.line((line) => line.type === 'joined');
    const damaged = join(net.folder, 'damaged');
    mkdirSync(damaged);
    writeFileSync(join(damaged, 'identity.key'), 'not a key', { mode: 0o600 });
    const readable = join(net.folder, 'readable');
    mkdirSync(readable);
    writeFileSync(join(readable, 'identity.key'), readFileSync(join(net.folder, 'ada', 'identity.key')));
    chmodSync(join(readable, 'identity.key'), 0o644);
    const file = join(net.folder, 'text.txt');
    const join_ = (folder: string): string[] => ['join', url, '--alone', '--folder', folder];
    const badHub = join(net.folder, 'bad-hub');
    mkdirSync(badHub);
    writeFileSync(join(badHub, 'hub.sqlite'), 'x'.repeat(4096));
    await failures(net, 'apart', [
      [
        ['hub', '--port', port, '--folder', join(net.folder, 'hub2')],
        'port-taken',
        /port \d+ .*is taken; choose another with --port/,
      ],
      [['hub', '--port', '0', '--folder', join(net.folder, 'hub')], 'log-locked', /hub\.sqlite/],
      [['hub', '--port', '0', '--folder', badHub], 'log-corrupt', /hub\.sqlite/],
      [['hub', '--port', '0', '--folder', join(file, 'x')], 'bad-folder', /ENOTDIR/],
      [
        join_(join(net.folder, 'ada')),
        'in-use',
        /another potluck process works in .*ada; give this one its own --folder/,
      ],
      [join_(damaged), 'identity-file-corrupt', /identity\.key is no identity file/],
      [join_(readable), 'identity-file-permissions', /run chmod 600/],
      [['id', 'import', file], 'identity-file-corrupt', /text\.txt is no identity file/],
      [join_(join(file, 'x')), 'bad-folder', /ENOTDIR/],
    ]);
    // A lock ends with its process, however that ends.
    ada.process.kill('SIGKILL');
    await ada.ended;
    const again = net.join(url, 'ada');
    await again.line((line) => line.type === 'joined');
  });
});

test('two demos do not share a folder', async (t) => {
  const net = network(t);
  const folder = join(net.folder, 'demo');
  const first = net.start(
    'demo',
    '--folder',
    folder,
    '--data',
    join(net.folder, 'text.txt'),
    '--workers',
    '1',
    '--json',
  );
  await first.line((line) => line.type === 'starting');
  await failures(net, 'shared', [
    [['demo', '--folder', folder], 'in-use', /another demo runs in/],
    [
      ['demo', '--folder', join(net.folder, 'other'), '--data', '/nowhere'],
      'missing-file',
      /no file or folder at \/nowhere/,
    ],
  ]);
  first.process.kill('SIGINT');
  assert.equal(await first.ended, 0);
});

test('everything that a hub, a run, a peer and status say with --json is one JSON object a line', async (t) => {
  const net = network(t);
  const { url, potluck: hub } = await net.hub();
  const id = await net.createRun(url, '--rounds', '1', '--steps', '2');
  const ada = net.join(url, 'ada');
  assert.equal(await ada.ended, 0);
  const status = await run(net, ['status', url, '--json']);
  assert.equal(JSON.parse(status.stdout).runs[0].run, id);
  hub.process.kill('SIGTERM');
  assert.equal(await hub.ended, 0);
  for (const potluck of [hub, ada]) {
    assert.equal(potluck.stderr(), '');
    for (const line of potluck.lines) assert.equal(typeof line.type, 'string', JSON.stringify(line));
  }
  assert.ok(TINY.length > 0);
});

test('what join prints of a submission is enough to ask why; nothing is planted in a finished run', async (t) => {
  const net = network(t);
  const { url } = await hubHere(t);
  const id = await net.createRun(url, '--rounds', '1', '--steps', '2', '--round-seconds', '120');
  const vera = net.join(url, 'vera', '--role', 'validator');
  await vera.line((line) => line.type === 'joined');
  const ada = net.start('join', url, '--name', 'ada', '--alone', '--folder', join(net.folder, 'ada'));
  assert.deepEqual([await ada.ended, await vera.ended], [0, 0]);
  const [, shown] =
    /handed in .* tokens in .* \(steps 2, loss .*\), submission ([0-9a-f]{12})\n.*npx potluck why \1 --hub http/.exec(
      ada.stdout(),
    ) ?? [];
  assert.ok(shown, ada.stdout());
  const { submission } = await vera.line((line) => line.type === 'judged');
  assert.ok(String(submission).startsWith(shown));
  const why = await run(net, ['why', shown, '--hub', url]);
  assert.equal(why.code, 0, why.stderr);
  assert.match(why.stdout, new RegExp(`${shown}.*was handed in by ada`, 's'));
  await failures(net, 'shared', [[['plant', id, '--hub', url], 'refused', /is finished: nothing is judged any more/]]);
});

test('a hub logs as much as --log-level says, each line with its level and time', async (t) => {
  const loud = network(t);
  const { url, potluck: talker } = await loud.hub(0, '--no-page', '--log-level', 'debug');
  await loud.createRun(url);
  const logged = await talker.line((line) => line.type === 'event');
  assert.equal(logged.level, 'info');
  assert.ok(Math.abs(Date.now() - Number(logged.time_ms)) < 60_000);

  const quiet = network(t);
  const hub = await quiet.hub(0, '--no-page', '--log-level', 'error');
  await quiet.createRun(hub.url);
  hub.potluck.process.kill('SIGTERM');
  assert.equal(await hub.potluck.ended, 0);
  assert.deepEqual(
    hub.potluck.lines.map((line) => line.type),
    ['listening', 'stopped'],
  );

  const wrong = await run(quiet, ['hub', '--log-level', 'loud']);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /error, info, debug/);
});

test('a reader that has enough is no failure', async (t) => {
  const net = network(t);
  const { url } = await hubHere(t);
  await tinyRun(url, { min_workers: 2 });
  const ada = net.join(url, 'ada');
  await ada.line((line) => line.type === 'joined');
  ada.process.stdout!.destroy();
  // The next line that it says finds nobody; it hands in what it has and leaves.
  const bob = net.join(url, 'bob');
  assert.equal(await ada.ended, 0);
  assert.doesNotMatch(ada.stderr(), /EPIPE|Error/);
  bob.process.kill('SIGTERM');
  await bob.ended;

  const help = net.start('audit', '--help');
  help.process.stdout!.destroy();
  assert.equal(await help.ended, 0);
  assert.doesNotMatch(help.stderr(), /EPIPE|Error/);
});

test('names and messages from strangers cannot steer a terminal', async (t) => {
  const net = network(t);
  const { url } = await hubHere(t);
  await net.createRun(url, '--min-workers', '2', '--name', 'nice run');
  const hostile = 'nicer\u001b[2J\u001b]0;title\u0007 run';
  // No hub takes such a name; one that lies shows it all the same.
  const refused = net.ask(
    'run',
    'create',
    '--hub',
    url,
    '--data',
    join(net.folder, 'text.txt'),
    ...TINY,
    '--name',
    hostile,
  );
  assert.notEqual(await refused.ended, 0);
  assert.match(refused.stderr(), /expected text without control characters/);
  const lying = createServer(async (request, response) => {
    const truth = await (await fetch(new URL(request.url!, url))).text();
    response.end(truth.replaceAll('nice run', JSON.stringify(hostile).slice(1, -1)));
  });
  await new Promise<void>((resolve) => lying.listen(0, '127.0.0.1', resolve));
  t.after(() => lying.close());
  const { stdout } = await run(net, ['status', `http://127.0.0.1:${(lying.address() as AddressInfo).port}`]);
  assert.match(stdout, /nicer/);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f]/);
});
