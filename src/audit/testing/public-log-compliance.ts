// Compliance tests for every PublicLog, wherever the log lies. Each implementation's test file calls them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeEntryBundle, TILE_WIDTH } from '../../ledger/tiles.ts';
import { sha256Hex } from '../../protocol/hash.ts';
import { AuditFailure, type PublicLog, PublicLogError } from '../public-log.ts';

export interface PublicLogUnderTest {
  /** Opens a log of more than a tile's entries; `hub` is the expected signer. */
  open(hub?: string): Promise<PublicLog>;
  /** Opens a location without a log. */
  openNothing(): Promise<PublicLog>;
  /** The log's content. */
  readonly hub: string;
  readonly entries: readonly Uint8Array[];
  readonly first_tile: Uint8Array;
  readonly blob: Uint8Array;
}

export function publicLogCompliance(kind: string, lying: () => PublicLogUnderTest): void {
  test(`${kind}: the head that its hub signed, and every entry in order, however often they are read`, async () => {
    const { open, hub, entries } = lying();
    const log = await open(hub);
    try {
      assert.deepEqual([log.hub, log.size, log.head?.size], [hub, entries.length, entries.length]);
      for (let reading = 0; reading < 2; reading++) {
        const read: Uint8Array[] = [];
        for await (const { first, count, bundle } of log.pages()) {
          assert.equal(first, read.length);
          read.push(...decodeEntryBundle(bundle, count));
        }
        assert.deepEqual(read, entries);
      }
      for await (const { first, count } of log.pages()) {
        assert.deepEqual([first, count], [0, TILE_WIDTH]);
        break; // a reader that has read enough
      }
    } finally {
      log.close();
    }
  });

  test(`${kind}: tiles and blobs that are kept, and nothing where they are not`, async () => {
    const { open, first_tile, blob } = lying();
    const log = await open(); // the hub's id comes from the checkpoint
    try {
      assert.deepEqual(new Uint8Array((await log.tile(0, 0, TILE_WIDTH))!), first_tile);
      assert.equal(await log.tile(5, 0, TILE_WIDTH), null);
      assert.deepEqual(await log.blob(sha256Hex(blob)), blob);
      assert.equal(await log.blob(sha256Hex(new Uint8Array(7))), null);
    } finally {
      log.close();
    }
  });

  test(`${kind}: another hub's log is not taken for it, and where there is none it says so`, async () => {
    const { open, openNothing } = lying();
    await assert.rejects(
      open('f'.repeat(64)),
      (error) => error instanceof AuditFailure && error.code === 'bad-checkpoint',
    );
    await assert.rejects(openNothing(), (error) => error instanceof PublicLogError && error.code === 'not-a-log');
  });
}
