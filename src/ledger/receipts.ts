// The receipts for everything that this peer submitted. With them it can prove to anybody that the hub accepted it.
import { appendFile, open } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDurably, syncFolder } from '../protocol/whole-file.ts';
import type { Receipt } from './receipt.ts';

export interface Receipts {
  /** Resolves once the receipt is durable, so that it survives a power cut. */
  keep(event: Uint8Array, receipt: Receipt): Promise<void>;
}

/**
 * The receipts of one run, in its folder: receipts.jsonl, one JSON object a line. If a crash has cut the last line short, that line is
 * moved to receipts.damaged, so that nothing is appended to it, and `onDamage` is called.
 */
export function openReceipts(folder: string, onDamage: (notice: string) => void = () => {}): Receipts {
  const file = join(folder, 'receipts.jsonl');
  const prepare = async (): Promise<void> => {
    await makeDurably(folder);
    const damaged = await cutDamagedLine(file);
    await syncFolder(folder);
    if (damaged === null) return;
    await appendFile(join(folder, 'receipts.damaged'), `${damaged}\n`);
    onDamage(`the last line of ${file} was cut short by a crash; it is in receipts.damaged beside it`);
  };
  let ready: Promise<void> | undefined;
  return {
    async keep(event, receipt) {
      const line = JSON.stringify({ event: Buffer.from(event).toString('base64'), receipt });
      try {
        ready ??= prepare();
        await ready;
        await appendFile(file, `${line}\n`, { flush: true });
      } catch (error) {
        ready = undefined; // the file may end with half a line
        throw new Error(`${file} could not be written: ${(error as Error).message}`);
      }
    },
  };
}

/** Makes a file end at the end of a line; returns what was cut off, null where nothing was. */
async function cutDamagedLine(path: string): Promise<string | null> {
  const file = await open(path, 'a+');
  try {
    const { size } = await file.stat();
    const text = Buffer.alloc(Math.min(size, TAIL_BYTES));
    await file.read(text, 0, text.length, size - text.length);
    if (size === 0 || text.at(-1) === NEWLINE) return null;
    const last = text.subarray(text.lastIndexOf(NEWLINE) + 1);
    if (isWhole(last.toString())) {
      await file.appendFile('\n');
      return null;
    }
    await file.truncate(size - last.length);
    await file.sync();
    return last.toString();
  } finally {
    await file.close();
  }
}

const NEWLINE = 10;
/** Longer than any line: an event has at most 64 KiB, in base64, and a receipt a few. */
const TAIL_BYTES = 1 << 20;

/** Whether a last line without its newline is complete: the crash may have come just before the newline. */
export function isWhole(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}
