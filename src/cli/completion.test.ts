// Completing words: the scripts know every command, and what may follow it, without starting anything.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';

const MAIN = join(import.meta.dirname, 'main.ts');
const potluck = (...words: string[]) => spawnSync(process.execPath, [...words], { encoding: 'utf8' });
const scriptOf = (shell: string): string => potluck(MAIN, 'completion', shell).stdout;

test('the version is said without loading any command', () => {
  const hook = `import { registerHooks } from 'node:module';
    registerHooks({ resolve(word, context, next) {
      const found = next(word, context);
      if (found.url.includes('/src/')) console.error(found.url.split('/src/')[1]);
      return found;
    } });`;
  const args = ['--import', `data:text/javascript,${encodeURIComponent(hook)}`, MAIN, '--version'];
  // The sources, also where `npm test` has bundled them: what is loaded is told by its file.
  const env = { ...process.env, NODE_OPTIONS: '' };
  const { stdout, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
  const loaded = stderr.split('\n').filter(Boolean);
  assert.deepEqual(loaded.sort(), [
    'cli/command-line.ts',
    'cli/commands.ts',
    'cli/main.ts',
    'cli/output.ts',
    'cli/repeats.ts',
    'cli/version.ts',
    'errors.ts',
    'protocol/passphrase-source.ts',
  ]);
});

describe('in bash', { skip: spawnSync('bash', ['--version']).error && 'no bash here' }, () => {
  const script = scriptOf('bash');
  const completed = (...words: string[]): string[] => {
    const ask = `${script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _potluck; echo "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', ask, 'bash', ...words], { encoding: 'utf8' });
    assert.equal(stderr, '');
    return stdout.trim().split(' ').filter(Boolean);
  };

  test('commands, commands inside others, flags and what a flag takes', () => {
    assert.deepEqual(completed('potluck', 'joi'), ['join']);
    assert.ok(completed('potluck', '').includes('status'));
    assert.deepEqual(completed('potluck', 'run', 'cr'), ['create']);
    assert.deepEqual(completed('potluck', 'run', 'create', '--merg'), ['--merge']);
    assert.deepEqual(completed('potluck', 'run', 'create', '--merge', 'a'), ['agreement']);
    assert.deepEqual(completed('potluck', 'join', 'http://localhost', '--role', ''), ['worker', 'validator']);
    assert.deepEqual(completed('potluck', 'completion', 'z'), ['zsh']);
  });

  test('the value of a flag that takes any is left to the shell', () => {
    assert.deepEqual(completed('potluck', 'run', 'create', '--data', 's'), []);
  });
});

test('in fish every command and its flags are listed, and quotes end nothing', () => {
  const script = scriptOf('fish');
  assert.match(script, /^complete -c potluck -n __fish_use_subcommand -f -a join -d '/m);
  assert.match(script, /__fish_seen_subcommand_from join' -l role -x -a 'worker validator'/);
  for (const line of script.split('\n').filter(Boolean)) {
    assert.equal((line.replaceAll(/\\['\\]/g, '').match(/'/g) ?? []).length % 2, 0, line);
  }
});
