// Compliance tests for every store of receipts. Each implementation's test file calls them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signEvent } from '../../protocol/envelope.ts';
import { createIdentity, type Identity } from '../../protocol/identity.ts';
import type { Receipt } from '../receipt.ts';
import type { Receipts } from '../receipts.ts';
import { openTransparencyLog } from '../transparency-log.ts';
import { createMemoryLogStore } from './memory-log.ts';

export interface Kept {
  readonly event: Uint8Array;
  readonly receipt: unknown;
}

/** This many events in a hub's log, each with its receipt. */
export async function receiptsOf(hub: Identity, count: number): Promise<{ event: Uint8Array; receipt: Receipt }[]> {
  const log = openTransparencyLog(createMemoryLogStore(), hub);
  const list = [];
  for (let i = 0; i < count; i++) {
    const event = await signEvent(hub, { type: 'tick', version: 1, time_ms: i });
    const index = await log.append([event]);
    list.push({ event, receipt: await log.receipt(index) });
  }
  return list;
}

export interface ReceiptsUnderTest {
  /** A new, empty store. */
  readonly receipts: Receipts;
  /** Cuts the machine's power; returns what survived, in any order. */
  powerCut(): Promise<readonly Kept[]>;
}

/** @param open the test file removes what it leaves behind */
export function receiptsCompliance(kind: string, open: () => Promise<ReceiptsUnderTest>): void {
  test(`${kind}: what was kept, one after the other, at once and twice, is there after a power cut, each with its event`, async () => {
    const { receipts, powerCut } = await open();
    const all = await receiptsOf(createIdentity(), 5);
    await receipts.keep(all[0].event, all[0].receipt);
    await Promise.all(all.slice(1).map(({ event, receipt }) => receipts.keep(event, receipt)));
    await receipts.keep(all[0].event, all[0].receipt); // a hub that restarted answers again
    const found = await powerCut();
    for (const { event, receipt } of all) {
      const same = found.filter((kept) => Buffer.compare(kept.event, event) === 0);
      assert.ok(same.length >= 1);
      for (const kept of same) assert.deepEqual(kept.receipt, receipt);
    }
    assert.equal(new Set(found.map(({ event }) => Buffer.from(event).toString('hex'))).size, all.length, 'no others');
  });
}
