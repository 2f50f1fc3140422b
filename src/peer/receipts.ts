// The receipts of everything that this peer handed in: with them it can prove to anybody that the hub had taken it.
import { appendFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Receipt } from '../ledger/receipt.ts';

export interface Receipts {
  /** Adds an event and its receipt to receipts.jsonl, one JSON object a line. */
  keep(event: Uint8Array, receipt: Receipt): Promise<void>;
}

/** The receipts of one run, in its folder. */
export function openReceipts(folder: string): Receipts {
  return {
    async keep(event, receipt) {
      await mkdir(folder, { recursive: true });
      const line = JSON.stringify({ event: Buffer.from(event).toString('base64'), receipt });
      await appendFile(join(folder, 'receipts.jsonl'), `${line}\n`);
    },
  };
}
