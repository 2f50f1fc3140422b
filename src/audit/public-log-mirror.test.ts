// A mirror read as files, in a folder and over HTTP: the suite of every public log, then what only a mirror does: it lags behind, and loses files.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { openPublicBlobs, openPublicLog } from '#public-log-open';
import { cosignCheckpoint } from '../ledger/checkpoint.ts';
import { witnessName } from '../ledger/key-names.ts';
import { createMemoryLogStore } from '../ledger/testing/memory-log.ts';
import { decodeEntryBundle, entriesPath, TILE_WIDTH, tilePath, tilesOfTree } from '../ledger/tiles.ts';
import { openTransparencyLog, type TransparencyLog } from '../ledger/transparency-log.ts';
import { signEvent } from '../protocol/envelope.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { createIdentity } from '../protocol/identity.ts';
import { AuditFailure, PublicLogError } from './public-log.ts';
import { openMirror } from './public-log-mirror.ts';
import { type PublicLogUnderTest, publicLogCompliance } from './testing/public-log-compliance.ts';

const SIZE = TILE_WIDTH + 44;
const root = mkdtempSync(join(tmpdir(), 'potluck-mirror-'));
const folder = join(root, 'mirror');
const identity = createIdentity();
const blob = new Uint8Array(5000).fill(6);
const entries: Uint8Array[] = [];
let log: TransparencyLog;
const put = (path: string, bytes: Uint8Array | string): void => {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), bytes);
};
/** Files that the server answers in place of the folder's. */
const instead = new Map<string, string | null>();
const server = createServer((request, response) => {
  const path = request.url!.slice('/bucket/'.length);
  const file = join(folder, path);
  const text = instead.get(path);
  const bytes = text !== undefined ? text : existsSync(file) && path !== '' ? readFileSync(file) : null;
  response.writeHead(bytes === null ? 404 : 200, { 'content-type': 'application/octet-stream' }).end(bytes);
});
let url: string;

/** Publishes the head and the tiles of the first entries, as a mirror has them. */
async function publish(): Promise<void> {
  for (const { level, full, partial_width } of tilesOfTree(log.size)) {
    for (let index = 0; index < full + Math.sign(partial_width); index++) {
      const width = index < full ? TILE_WIDTH : partial_width;
      put(`log/${tilePath(level, index, width)}`, log.tile(level, index, width)!);
      if (level === 0) put(`log/${entriesPath(index, width)}`, log.entryBundle(index, width)!);
    }
  }
  put('log/checkpoint', (await log.checkpoint()).note);
}

before(async () => {
  log = openTransparencyLog(createMemoryLogStore(), identity);
  for (let i = 0; i < SIZE; i++) {
    entries.push(await signEvent(identity, { type: 'tick', version: 1, time_ms: 1_780_000_000_000 + i }));
  }
  await log.append(entries);
  await publish();
  put(`blobs/${sha256Hex(blob)}`, blob);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/bucket`;
});
after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(root, { recursive: true, force: true });
});

const at = (where: string, empty: string): PublicLogUnderTest => ({
  ...{ hub: identity.id, entries, blob, first_tile: new Uint8Array(log.tile(0, 0, TILE_WIDTH)!) },
  open: (id) => openMirror(where, id),
  openNothing: () => openMirror(empty),
});
publicLogCompliance('a mirror in a folder', () => at(folder, root));
publicLogCompliance('a mirror below an address', () => at(`${url}/`, `${url}/nothing`));

test('a folder that is a mirror is found to be one, also by those that open only its blobs', async () => {
  const opened = await openPublicLog(folder, identity.id);
  assert.deepEqual([opened.is_mirror, opened.size, await opened.status()], [true, SIZE, null]);
  assert.deepEqual(await openPublicBlobs(folder).blob(sha256Hex(blob)), blob);
  put(`blobs/${'c'.repeat(64)}`, blob);
  await assert.rejects(openPublicBlobs(folder).blob('c'.repeat(64)), (error) => {
    assert.ok(error instanceof AuditFailure && error.code === 'corrupt-blob');
    return error.message.includes('c'.repeat(64));
  });
  rmSync(join(folder, 'blobs', 'c'.repeat(64)));
});

test('a tile that the checkpoint needs and that is not there is named', async () => {
  const opened = await openMirror(url);
  for (const [level, index, width] of [
    [0, 0, TILE_WIDTH],
    [0, 1, 44],
    [1, 0, 1],
  ]) {
    const path = tilePath(level, index, width);
    instead.set(`log/${path}`, null);
    await assert.rejects(opened.tile(level, index, width), (error) => {
      assert.ok(error instanceof AuditFailure && error.code === 'wrong-tile', String(error));
      return error.message.startsWith(`${path} is not there`);
    });
  }
  instead.clear();
  assert.equal(await opened.tile(0, 1, 43), null, 'nobody needs that one');
  assert.equal(await opened.tile(0, 1, TILE_WIDTH), null, 'the log is not so long yet');
});

test('partial files that were deleted when there were full ones are not missed', async () => {
  const opened = await openMirror(url);
  await log.append(entries.slice(0, 2 * TILE_WIDTH - SIZE));
  const [partial, bundle] = [tilePath(0, 1, 44), entriesPath(1, 44)];
  const before = new Uint8Array(readFileSync(join(folder, 'log', partial)));
  for (const path of [partial, bundle]) instead.set(`log/${path}`, null);
  put(`log/${tilePath(0, 1)}`, log.tile(0, 1)!);
  put(`log/${entriesPath(1)}`, log.entryBundle(1)!);
  assert.deepEqual(await opened.tile(0, 1, 44), before);
  const read: Uint8Array[] = [];
  for await (const { count, bundle } of opened.pages()) read.push(...decodeEntryBundle(bundle, count));
  assert.deepEqual(read, entries);
  put(`log/${entriesPath(1)}`, 'not a bundle');
  await assert.doesNotReject(async () => {
    for await (const { bundle } of opened.pages())
      assert.ok(bundle.length > 0, 'its reader says what is wrong with it');
  });
  instead.clear();
});

test('a mirror that lags behind is waited for; one that stays old is called so', async () => {
  const now = readFileSync(join(folder, 'log', 'checkpoint'), 'utf8');
  const witness = createIdentity();
  await log.append(entries.slice(0, 5));
  const { note, size } = await log.checkpoint();
  const isOld = (whose: RegExp) => (error: unknown) => {
    assert.ok(error instanceof PublicLogError && error.code === 'old-mirror', String(error));
    assert.match(error.message, whose);
    return true;
  };
  instead.set('log/cosigned', await cosignCheckpoint(witness, witnessName(witness.id), note, 100));
  instead.set('log/checkpoint', now);
  await assert.rejects(
    openMirror(url, undefined, 0, 1),
    isOld(new RegExp(`has ${SIZE} entries, and its own log/cosigned shows ${size}`)),
  );
  const opening = openMirror(url, identity.id, size, 50);
  await new Promise<void>((resolve) => {
    const look = (request: IncomingMessage): void => {
      if (!request.url!.endsWith('/checkpoint')) return;
      server.off('request', look);
      resolve();
    };
    server.on('request', look); // it hears of a request when that is answered
  });
  instead.set('log/checkpoint', note);
  assert.equal((await opening).size, size);
  instead.clear();
  const stays = await openMirror(url, identity.id, size, 1);
  assert.equal(stays.size, SIZE, 'it is opened all the same, and whoever knows of the newer head says so');
});
