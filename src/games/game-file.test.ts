// A file that a run offers is read only where its hash was named, and nothing but the bytes of that hash is kept or run.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import { gamesOf } from './game-file.ts';
import { GAME_FILE_BYTES } from './game-form.ts';

test('what a run offers', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-games-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [text, large] = [utf8('export const game = 1;'), new Uint8Array(GAME_FILE_BYTES + 1)];
  const [hash, hash_of_large] = [text, large].map((bytes) => sha256Hex(bytes));
  const load = await gamesOf({ files: [], hashes: [hash, hash_of_large], folder });
  const asked: string[] = [];
  const offer = (hash: string, bytes: Uint8Array) => ({
    hash,
    fetch: async (wanted: string) => {
      asked.push(wanted);
      return bytes;
    },
  });
  const other = sha256Hex(utf8('other'));
  await assert.rejects(load('own', offer(other, utf8('other'))), { code: 'unknown-game' });
  assert.deepEqual(asked, [], 'not even read where nobody has named its hash');
  await assert.rejects(load('own', offer(hash, utf8('other'))), { code: 'bad-game-file', message: /got other bytes/ });
  await assert.rejects(load('own', offer(hash_of_large, large)), { code: 'bad-game-file', message: /at most 262144/ });
  assert.deepEqual(readdirSync(folder), [], 'nothing else is kept');
  await assert.rejects(load('own', offer(hash, text)), { code: 'bad-game-file', message: /game/ });
  assert.deepEqual(readdirSync(folder), [`${hash}.mjs`]);
});
