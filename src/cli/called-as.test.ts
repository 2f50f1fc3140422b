// What a person is told to type is this program, wherever the terminal is.
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { potluckHere } from './called-as.ts';

const root = resolve(import.meta.dirname, '..', '..');

test('npx finds it in its checkout, also in a folder of it', () => {
  assert.equal(potluckHere(root), 'npx potluck');
  assert.equal(potluckHere(join(root, 'docs', 'decisions')), 'npx potluck');
  assert.equal(potluckHere(join(root, '..not-outside')), 'npx potluck');
});

test('npx finds it where it is installed, also in a folder of it', () => {
  const installed = resolve('/home/ada/mine/node_modules/potluck');
  assert.equal(potluckHere(resolve('/home/ada/mine/games'), '', installed), 'npx potluck');
  assert.equal(potluckHere(resolve('/home/ada'), '/usr/local/bin/potluck', installed), 'potluck');
});

test('elsewhere npx would run a stranger: the installed command, or the path', () => {
  assert.equal(potluckHere(tmpdir(), '/usr/local/bin/potluck'), 'potluck');
  for (const cwd of [tmpdir(), resolve(root, '..')]) {
    const [node, path] = potluckHere(cwd, join(root, 'src', 'cli', 'main.ts')).split(' ');
    assert.equal(node, 'node');
    assert.equal(resolve(cwd, path), join(root, 'bin', 'potluck.js'));
  }
});
