// One log, read from the folder of a hub at work and from its address: the same.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { openPublicLog } from '#public-log-open';
import { type PublicLogUnderTest, publicLogCompliance } from '../src/audit/testing/public-log-compliance.ts';
import { type Hub, openHub } from '../src/hub/hub.ts';
import { openFolderBlobStore } from '../src/ledger/folder-blob-store.ts';
import { openSqliteLogStore } from '../src/ledger/sqlite-log-store.ts';
import { TILE_WIDTH } from '../src/ledger/tiles.ts';
import { openTransparencyLog } from '../src/ledger/transparency-log.ts';
import { signEvent } from '../src/protocol/envelope.ts';
import { loadOrCreateIdentity } from '../src/protocol/identity-file.ts';

const root = mkdtempSync(join(tmpdir(), 'potluck-public-log-'));
const folder = join(root, 'hub');
const nothing = join(root, 'nothing');
const elsewhere = createServer((_request, response) => response.writeHead(404).end());
let hub: Hub;
let log: Pick<PublicLogUnderTest, 'hub' | 'entries' | 'first_tile' | 'blob'>;

before(async () => {
  for (const dir of [folder, nothing]) mkdirSync(dir);
  const identity = await loadOrCreateIdentity(join(folder, 'hub.key'));
  const store = openSqliteLogStore(join(folder, 'hub.sqlite'));
  const written = openTransparencyLog(store, identity);
  const ticks = Array.from({ length: TILE_WIDTH + 44 }, (_, i) =>
    signEvent(identity, { type: 'tick', version: 1, time_ms: 1_780_000_000_000 + i }),
  );
  const entries = await Promise.all(ticks);
  await written.append(entries);
  await written.checkpoint();
  const first_tile = new Uint8Array(written.tile(0, 0, TILE_WIDTH)!);
  await store.close();
  const blob = new Uint8Array(5000).fill(6);
  await (await openFolderBlobStore(join(folder, 'blobs'))).put(blob);
  hub = await openHub({ folder, host: '127.0.0.1', port: 0 });
  assert.equal(hub.id, identity.id);
  log = { hub: identity.id, entries, first_tile, blob };
  await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
});
after(async () => {
  await hub.close();
  elsewhere.close();
  rmSync(root, { recursive: true, force: true });
});

const at = (where: string, empty: string): PublicLogUnderTest => ({
  ...log,
  open: (id) => openPublicLog(where, id),
  openNothing: () => openPublicLog(empty),
});
publicLogCompliance('the folder of a hub', () => at(folder, nothing));
publicLogCompliance('the address of a hub', () =>
  at(hub.url, `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`),
);
