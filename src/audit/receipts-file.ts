// Reads receipts.jsonl, the file in which peers keep receipts, and verifies each line by itself.
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { LedgerError } from '../ledger/errors.ts';
import { originOf } from '../ledger/key-names.ts';
import { equalHashes } from '../ledger/merkle.ts';
import { verifyReceipt } from '../ledger/receipt.ts';
import { isWhole } from '../ledger/receipts.ts';
import { fromBase64 } from '../ledger/signed-note.ts';
import { PublicLogError } from './public-log.ts';
import type { Kept, ReceiptBook } from './receipts.ts';

const LIMITS = {
  receipts: 1_000_000, // some 200 MB of memory; a larger file has to be split
  line_characters: 1 << 20, // an event in base64 with a checkpoint is at most a tenth of this
} as const;

/** Reads a file of receipts, and verifies every receipt by itself. Throws PublicLogError `bad-receipt`. */
export async function readReceipts(file: string, hub: string): Promise<ReceiptBook> {
  const at = new Map<number, Kept[]>();
  const roots = new Map<number, Uint8Array[]>();
  let count = 0;
  let line = 0;
  const input = createReadStream(file, 'utf8');
  const opened = new Promise<void>((resolve, reject) => input.once('open', () => resolve()).once('error', reject));
  await opened.catch((error: Error) => {
    throw new PublicLogError('bad-receipt', `the receipts cannot be read: ${error.message}`, { file });
  });
  // If the file does not end with a newline, a crash has cut its last line short. What is left of that line proves nothing.
  const cut = !(await endsWithNewline(file));
  let cut_line: number | null = null;
  for await (const { text, last } of withLast(createInterface({ input, crlfDelay: Infinity }))) {
    line++;
    if (text.trim() === '') continue;
    if (last && cut && !isWhole(text)) {
      cut_line = line;
      continue;
    }
    const bad = (what: string) => new PublicLogError('bad-receipt', `${file}, line ${line}: ${what}`, { file, line });
    if (++count > LIMITS.receipts) throw bad(`at most ${LIMITS.receipts} receipts are read at once`);
    const { event, receipt } = parse(text, bad);
    try {
      const { index, size, root } = verifyReceipt(receipt, event, { id: hub, origin: originOf(hub) });
      const { event_id } = receipt as { event_id: string };
      at.set(index, [...(at.get(index) ?? []), { event: event_id, file, line }]);
      const known = roots.get(size) ?? [];
      if (!known.some((other) => equalHashes(other, root))) roots.set(size, [...known, root]);
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      throw bad(`not a receipt of hub ${hub}: ${error.message}`);
    }
  }
  return { count, cut_line, at, roots };
}

async function endsWithNewline(file: string): Promise<boolean> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1));
    return size === 0 || buffer[0] === 10;
  } finally {
    await handle.close();
  }
}

/** The lines of a text; the last one is marked as such. */
async function* withLast(
  lines: AsyncIterable<string>,
): AsyncGenerator<{ readonly text: string; readonly last: boolean }> {
  let before: string | null = null;
  for await (const text of lines) {
    if (before !== null) yield { text: before, last: false };
    before = text;
  }
  if (before !== null) yield { text: before, last: true };
}

function parse(text: string, bad: (what: string) => PublicLogError): { event: Uint8Array; receipt: unknown } {
  if (text.length > LIMITS.line_characters) throw bad(`at most ${LIMITS.line_characters} characters a line`);
  let value: { event?: unknown; receipt?: unknown } | null;
  try {
    value = JSON.parse(text);
  } catch {
    throw bad('expected JSON');
  }
  const event = typeof value?.event === 'string' ? fromBase64(value.event) : null;
  if (!event) throw bad('expected an event in base64 and its receipt');
  return { event, receipt: value?.receipt };
}
