// Where a device's receipts of days lie: `days/` in its folder, one file a receipt, and what is counted of days that are still open.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError } from '../errors.ts';
import { type DayBook, DayBookSchema, newDayBook } from '../peer/owner-policy/day-book.ts';
import { type DayReceipt, openDayReceipt } from '../peer/owner-policy/day-receipt.ts';
import { writeWhole } from '../protocol/whole-file.ts';

export const DAYS_FOLDER = 'days';
const OPEN_FILE = 'open.json';
const RECEIPT_FORM = /^(\d{6})-\d{4}-\d{2}-\d{2}\.receipt$/;

export interface DayFiles {
  /** In order of number. */
  readonly receipts: readonly { readonly file: string; readonly receipt: DayReceipt }[];
  /** Files that are no receipts any more, with what is wrong with each. */
  readonly damaged: readonly string[];
}

/** The receipts in a device's folder. */
export function readReceipts(folder: string): DayFiles {
  const damaged: string[] = [];
  const receipts = namesIn(join(folder, DAYS_FOLDER)).flatMap((name) => {
    if (!RECEIPT_FORM.test(name)) return [];
    const file = join(folder, DAYS_FOLDER, name);
    try {
      return [{ file, receipt: openDayReceipt(new Uint8Array(readFileSync(file))) }];
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      damaged.push(`${file}: ${error.message}`);
      return [];
    }
  });
  return { receipts, damaged };
}

/** The number of the next receipt: files count, also damaged ones, so that none is written over. */
export function nextNumber(folder: string): number {
  const numbers = namesIn(join(folder, DAYS_FOLDER)).map((name) => Number(RECEIPT_FORM.exec(name)?.[1] ?? 0));
  return Math.max(0, ...numbers) + 1;
}

/** Survives a power cut once it resolves. */
export async function writeReceipt(folder: string, number: number, day: string, bytes: Uint8Array): Promise<void> {
  const name = `${String(number).padStart(6, '0')}-${day}.receipt`;
  await writeWhole(join(folder, DAYS_FOLDER, name), bytes, { durable: true });
}

/** What was counted of open days; a new book where there is none. `problem`: why what was there cannot be used. */
export function readBook(folder: string): { readonly book: DayBook; readonly problem: string | null } {
  const file = join(folder, DAYS_FOLDER, OPEN_FILE);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return { book: newDayBook(), problem: null };
  }
  try {
    return { book: DayBookSchema.parse(JSON.parse(text)), problem: null };
  } catch {
    return { book: newDayBook(), problem: `${file} is damaged: the days that were open in it begin anew` };
  }
}

export const writeBook = (folder: string, book: DayBook): Promise<void> =>
  writeWhole(join(folder, DAYS_FOLDER, OPEN_FILE), `${JSON.stringify(book)}\n`);

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return []; // nothing was ever written there
  }
}
