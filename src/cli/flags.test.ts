// The words of a command line, before any work: what is no address, no folder, no id, no name or ignored beside another flag is refused.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { Command } from 'commander';
import { nameOf } from '../protocol/shown-name.ts';
import { auditCommand } from './audit.ts';
import { certificateCommand } from './certificate.ts';
import { exportCommand } from './export.ts';
import { homeFolder } from './folders.ts';
import { hubCommand } from './hub.ts';
import { idCommand } from './id.ts';
import { joinCommand } from './join.ts';
import { apiUrl, hubUrl, logPlace, namedAccounts, publicUrl } from './options.ts';
import { plantCommand } from './plant.ts';
import { recheckCommand } from './recheck.ts';
import { refuseRepeats } from './repeats.ts';
import { runCommand } from './run.ts';
import { endCommand, pauseCommand } from './run-life.ts';
import { settleCommand } from './settle.ts';
import { sharesCommand } from './shares.ts';
import { verifyCommand } from './verify.ts';
import { whyCommand } from './why.ts';
import { witnessCommand } from './witness.ts';

const folder = mkdtempSync(join(tmpdir(), 'potluck-flags-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'file.txt');
writeFileSync(file, 'text');
mkdirSync(join(folder, 'hub'));

const createCommand = (): Command => runCommand().commands.find((part) => part.name() === 'create')!;

/** The command must refuse these words with a message that has all of that in it. */
async function refused(command: Command, words: string[], ...says: string[]): Promise<void> {
  command.exitOverride().configureOutput({ outputError: () => {} });
  const said = await command.parseAsync(words, { from: 'user' }).then(
    () => assert.fail(`${command.name()} ${words.join(' ')} was taken`),
    (error: Error) => error.message,
  );
  for (const part of says) assert.ok(said.includes(part), `${command.name()} ${words.join(' ')}: ${said}`);
  assert.ok(!said.includes('\n'), said);
}

test('who may create runs: accounts, or a file of them', () => {
  const [one, two] = ['a'.repeat(64), 'b'.repeat(64)];
  assert.deepEqual(namedAccounts(`${one}, ${two}`), [one, two]);
  const list = join(folder, 'owners.txt');
  writeFileSync(list, `# mine\n${one}\n\n  ${two} # hers\n`);
  assert.deepEqual(namedAccounts(list), [one, two]);
  for (const wrong of ['', 'nobody', `${one},nobody`, `${one};${two}`, join(folder, 'none.txt')]) {
    assert.throws(() => namedAccounts(wrong), /expected accounts .*, or a file of them, got/, wrong);
  }
  assert.throws(() => namedAccounts(file), /file.txt: expected 64 lower-case hexadecimal digits a line, got text/);
});

test('the address of an API is the same in every command: with or without a scheme, a path or a last slash', () => {
  for (const text of ['localhost:7701', 'http://localhost:7701/', 'http://localhost:7701/v1/', 'localhost:7701/v1']) {
    assert.equal(apiUrl(text), 'http://localhost:7701/v1', text);
  }
  assert.equal(apiUrl('https://api.example.org/openai/v1'), 'https://api.example.org/openai/v1');
  for (const wrong of ['', 'ftp://x', './models', 'http://ada@x/v1', 'http://x/v1?a=1', 'http://x/v1#a']) {
    assert.throws(() => apiUrl(wrong), /expected the address of an API, such as/, wrong);
  }
});

describe('the place of a hub', () => {
  test('is an address, whose path is not dropped silently', () => {
    assert.equal(hubUrl('localhost:7700'), 'http://localhost:7700');
    assert.equal(hubUrl('hub'), 'http://hub');
    assert.equal(hubUrl('https://hub.example/'), 'https://hub.example');
    assert.equal(hubUrl('[::1]:7700'), 'http://[::1]:7700');
    const nothingAfter = ['http://h/runs', 'h:7700/runs', 'http://h/?a', 'http://h/#a', 'http://me:word@h'];
    for (const text of nothingAfter)
      assert.throws(() => hubUrl(text), /and nothing after it, such as http:\/\/h/, text);
    for (const text of ['./h', '/h', '~/h', '.', 'a/b', 'a\\b', 'ftp://h', 'C:\\hub', '']) {
      assert.throws(() => hubUrl(text), /expected the address of a hub/, text);
    }
  });

  test('for links is written in full', () => {
    for (const text of ['https://hub.example', 'http://localhost', 'http://hub:8080', 'http://[::1]']) {
      assert.equal(publicUrl(text), new URL(text).origin);
    }
    for (const text of ['notaurl', 'hub.example', 'http://notaurl', 'ftp://hub.example', 'http://']) {
      assert.throws(() => publicUrl(text), /expected an address with http:\/\//, text);
    }
  });

  test('or its folder; one that is none is not taken for a host', () => {
    assert.equal(logPlace(join(folder, 'hub')), join(folder, 'hub'));
    assert.equal(logPlace('hub.example:7700'), 'http://hub.example:7700');
    assert.equal(logPlace('hub.example'), 'http://hub.example');
    for (const text of ['./nope/hub', 'potluck-data/nope/hub', '~/nope', join(folder, 'nope')]) {
      assert.throws(() => logPlace(text), { message: `no folder of a hub at ${text}.` });
    }
    assert.throws(() => logPlace(file), /no folder of a hub at .*: it is a file/);
  });

  test('so in every command that takes one', async () => {
    await refused(auditCommand(), ['./nope/hub'], 'no folder of a hub at ./nope/hub');
    await refused(sharesCommand(), ['3fa9c1', '--hub', file], 'it is a file');
    await refused(hubCommand(), ['--public', 'notaurl'], 'expected an address with http://');
  });
});

test('a number is not nothing', async () => {
  await refused(hubCommand(), ['--port', ''], 'expected a whole number from 0 to 65535');
  await refused(hubCommand(), ['--port', ' '], 'expected a whole number from 0 to 65535');
});

test('an id has its digits', async () => {
  const digits = 'expected 64 lower-case hexadecimal digits';
  await refused(auditCommand(), ['h', '--hub-id', 'xyz'], digits);
  await refused(witnessCommand(), ['h', '--hub-id', 'f'.repeat(63)], digits);
  for (const flag of ['--hub-id', '--signer', '--holder']) {
    await refused(verifyCommand(), ['x.json', flag, 'F'.repeat(64)], digits);
  }
  for (const command of [whyCommand(), recheckCommand()]) await refused(command, ['mine'], 'the beginning of an id');
  await refused(whyCommand(), [''], 'the beginning of an id');
  // No word must not mean the only run there is: an end cannot be undone.
  for (const command of [pauseCommand(), endCommand()])
    await refused(command, [''], "expected a run's name, at least 4");
  await refused(whyCommand(), ['3fa'], '4 to 64 lower-case hexadecimal digits');
});

test('a name is one that the log takes, and not blank', async () => {
  const expected = 'expected a name of 1 to 80 characters, got';
  for (const [name, got] of [
    ['', 'a blank one'],
    [' \u00a0', 'a blank one'],
    ['n'.repeat(81), '81'],
  ]) {
    await refused(createCommand(), ['--name', name], `${expected} ${got}`);
    await refused(joinCommand(), ['h', '--name', name], `${expected} ${got}`);
    await refused(plantCommand(), ['3fa9c1', '--name', name], `${expected} ${got}`);
  }
  await refused(createCommand(), ['--name', 'a\u001bb'], 'expected text without control characters');
  assert.deepEqual([' ', '', 'a\nb', '\u202e'].map(nameOf), ['?', '?', 'a b', '?']);
});

test('flags of run create that would be ignored beside another are named with it', async () => {
  const cases: [string, string][] = [
    ...['--layers 2', '--width 8', '--heads 2', '--kv-heads 2', '--feed-forward 8', '--tied', '--seed s'].flatMap(
      (flag): [string, string][] => [
        [`--data x --from x ${flag}`, `${flag.split(' ')[0]} and --from contradict each other`],
        [`--data x --from-run a ${flag}`, `${flag.split(' ')[0]} and --from-run contradict each other`],
      ],
    ),
    ['--data x --from x --from-run a', 'expected --from or --from-run, not both'],
    ['--game addition-chain --data x', '--data and --game addition-chain contradict each other'],
    ['--game ./mine.ts --merge agreement', '--merge and --game ./mine.ts contradict each other'],
    ['--game ./mine.ts --learning-rate 0.1', '--learning-rate and --game ./mine.ts contradict each other'],
    ['--data x --params p.json', '--params and --game pretrain contradict each other'],
    ['--data x --royalty-permille 5', '--royalty-permille goes with --from-run'],
    ['--data x --from x --royalty-permille 5', '--royalty-permille goes with --from-run'],
  ];
  for (const [words, says] of cases) await refused(createCommand(), words.split(' '), says);
});

test('an option of one value that is given twice is refused by its name; those that collect are not, nor are words', async () => {
  const twice = async (command: Command, words: string[], flag: string): Promise<void> => {
    for (const part of [command, ...command.commands]) {
      part.exitOverride().configureOutput({ outputError: () => {} });
      refuseRepeats(part);
    }
    await refused(command, words, `option '${flag}`, 'is given twice, and only one counts');
  };
  await twice(createCommand(), ['--hub', 'a', '--rounds', '2', '--rounds', '3'], '--rounds <n>');
  await twice(createCommand(), ['--merge', 'mean', '--merge', 'agreement'], '--merge <rule>');
  await twice(joinCommand(), ['h', '--name', 'a', '--name', 'b'], '--name <name>');
  await twice(runCommand(), ['create', '--hub', 'a', '--hub', 'a'], '--hub <url>');
  const command = createCommand();
  refuseRepeats(command);
  await refused(command, ['--json', '--json', '--data', file, '--data', join(folder, 'nope')], 'no file or folder at');
  assert.deepEqual(command.opts().data, [file, join(folder, 'nope')]);
});

test('a quantisation is refused beside the format that has none', async () => {
  const words = ['3fa9c1', join(folder, 'out'), '--quantisation', 'q8_0'];
  await refused(exportCommand(), words, '--quantisation goes with --format gguf');
});

test('what would be written over, or has no folder, is told before any work', async () => {
  const exporting = (dir: string, says: string) => refused(exportCommand(), ['3fa9c1', dir], says);
  for (const dir of [file, join(file, 'a', 'b')])
    await exporting(dir, `expected a folder to write, got the file ${file}`);
  for (const name of ['hub.sqlite', 'identity.key', 'owner.key', 'witness.key', 'lock.sqlite']) {
    const dir = mkdtempSync(join(folder, 'used-'));
    writeFileSync(join(dir, name), '');
    await exporting(dir, `but ${dir} is in use: it holds ${name}`);
    assert.deepEqual(readdirSync(dir), [name]);
  }
  for (const command of [certificateCommand(), settleCommand()]) {
    await refused(command, ['--out', folder], `expected a file to write, got the folder ${folder}`);
  }
  const nowhere = join(folder, 'nowhere');
  await refused(idCommand(), ['export', join(nowhere, 'my.key')], `no folder at ${nowhere} to write my.key into`);
  assert.ok(!existsSync(nowhere), 'a secret is not written into a folder that nobody made');
});

test('POTLUCK_HOME that is set to nothing counts as not set', (t) => {
  const before = process.env.POTLUCK_HOME;
  t.after(() => {
    if (before === undefined) delete process.env.POTLUCK_HOME;
    else process.env.POTLUCK_HOME = before;
  });
  process.env.POTLUCK_HOME = folder;
  assert.equal(homeFolder(), folder);
  process.env.POTLUCK_HOME = '';
  assert.match(homeFolder(), /\.potluck$/);
});
