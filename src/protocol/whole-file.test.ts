// A file is written whole or not at all: with its mode, in place of an older one, and what a killed writer left aside is removed.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { removeLeftovers, writeWhole } from './whole-file.ts';

const root = mkdtempSync(join(tmpdir(), 'potluck-whole-'));
after(() => rmSync(root, { recursive: true, force: true }));

for (const durable of [false, true]) {
  test(`${durable ? 'durably' : 'else'}: an older file is replaced, with the mode that was asked for`, async () => {
    const file = join(root, `${durable}`, 'a', 'b');
    await writeWhole(file, 'old', { durable });
    await writeWhole(file, ['ne', Uint8Array.of(0x77)], { durable, mode: 0o600 });
    assert.equal(readFileSync(file, 'utf8'), 'new');
    if (process.platform !== 'win32') assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(join(root, `${durable}`, 'a')), ['b']);
  });

  test(`${durable ? 'durably' : 'else'}: what breaks off leaves the older file, and nothing beside it`, async () => {
    const file = join(root, `${durable}-broken`, 'b');
    await writeWhole(file, 'old', { durable });
    function* broken() {
      yield 'new';
      throw new Error('broken off');
    }
    await assert.rejects(writeWhole(file, broken(), { durable }), /broken off/);
    assert.equal(readFileSync(file, 'utf8'), 'old');
    assert.deepEqual(readdirSync(join(root, `${durable}-broken`)), ['b']);
  });
}

test('what a writer is at has a name that leaves with its process, and not before', async () => {
  const folder = join(root, 'leftovers');
  let aside = '';
  function* watched() {
    [aside] = readdirSync(folder);
    yield 'text';
  }
  await writeWhole(join(folder, 'b'), watched());
  const dead = aside.replace(/\d+$/, '999999999');
  writeFileSync(join(folder, aside), '');
  writeFileSync(join(folder, dead), '');
  await removeLeftovers(folder);
  assert.deepEqual(readdirSync(folder).sort(), [aside, 'b'].sort());
});
