// The settings of a run from a stranger: what is too large for any is refused before a byte of it is read.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkParamsSize, PARAMS_BYTES } from '../games/params.ts';
import { createMemoryBlobStore } from '../ledger/blob-store.ts';
import { openModels } from './models.ts';

test('settings of more than a mebibyte are refused unread', async () => {
  const blobs = createMemoryBlobStore();
  const read: string[] = [];
  const watched = {
    ...blobs,
    get(hash: string) {
      read.push(hash);
      return blobs.get(hash);
    },
  };
  const models = openModels(watched, createMemoryBlobStore());
  const settings = async (size_bytes: number) => ({
    game: 'pretrain',
    params: await blobs.put(new Uint8Array(size_bytes).fill(0x20)),
  });
  await assert.rejects(models.game(await settings(PARAMS_BYTES + 1)), {
    code: 'bad-params',
    message: `params: expected at most ${PARAMS_BYTES} bytes, got ${PARAMS_BYTES + 1}`,
  });
  assert.deepEqual(read, []);
  await assert.rejects(models.game(await settings(PARAMS_BYTES)), {
    code: 'bad-params',
    message: /bytes that are none/,
  });
  assert.equal(read.length, 1);
});

test('so are they by whoever has them already', () => {
  checkParamsSize(PARAMS_BYTES);
  assert.throws(() => checkParamsSize(PARAMS_BYTES + 1), { code: 'bad-params' });
});
