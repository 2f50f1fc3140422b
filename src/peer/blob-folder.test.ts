// A folder of blobs as every cache.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { openBlobFolder } from '#blob-folder';
import { blobCacheCompliance } from './testing/blob-cache-compliance.ts';

const root = mkdtempSync(join(tmpdir(), 'potluck-blob-folder-'));
after(() => rmSync(root, { recursive: true, force: true }));

blobCacheCompliance('a folder', async (limit_bytes, now_ms) =>
  openBlobFolder(mkdtempSync(join(root, 'cache-')), limit_bytes, now_ms),
);
