// receipts.jsonl after a crash: a last line that was cut short is set aside, nothing is written behind it, and the others still count.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Receipt } from '../ledger/receipt.ts';
import { openReceipts } from '../ledger/receipts.ts';
import { watchedFolder } from '../ledger/testing/power-cut.ts';
import { receiptsCompliance, receiptsOf } from '../ledger/testing/receipts-compliance.ts';
import { createIdentity } from '../protocol/identity.ts';
import { readReceipts } from './receipts-file.ts';

const hub = createIdentity();

const root = mkdtempSync(join(tmpdir(), 'potluck-receipts-'));
after(() => rmSync(root, { recursive: true, force: true }));

receiptsCompliance('a folder', async () => {
  const disk = mkdtempSync(join(root, 'disk-'));
  const watched = await watchedFolder(disk);
  return {
    receipts: openReceipts(join(disk, 'runs', 'run')),
    async powerCut() {
      const lines = readFileSync(join(await watched.cut(), 'runs', 'run', 'receipts.jsonl'), 'utf8')
        .trim()
        .split('\n');
      return lines.map((line) => {
        const { event, receipt } = JSON.parse(line) as { event: string; receipt: Receipt };
        return { event: Uint8Array.from(Buffer.from(event, 'base64')), receipt };
      });
    },
  };
});

test('a line that was cut short anywhere is set aside, and the receipts around it are read', async (t) => {
  const [first, second, third] = await receiptsOf(hub, 3);
  for (const cut of [1, 2, 50, 'newline'] as const) {
    const folder = mkdtempSync(join(tmpdir(), 'potluck-receipts-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'receipts.jsonl');
    const before = openReceipts(folder);
    await before.keep(first.event, first.receipt);
    const whole = readFileSync(file).length;
    await before.keep(second.event, second.receipt);
    const end = readFileSync(file).length;
    const length = cut === 'newline' ? end - 1 : whole + cut;
    truncateSync(file, length);

    const lost = cut !== 'newline';
    const book = await readReceipts(file, hub.id);
    assert.deepEqual([book.count, book.cut_line], lost ? [1, 2] : [2, null]);

    const notices: string[] = [];
    const after = openReceipts(folder, (notice) => notices.push(notice));
    await Promise.all([after.keep(third.event, third.receipt), after.keep(first.event, first.receipt)]);
    const mended = await readReceipts(file, hub.id);
    assert.deepEqual([mended.count, mended.cut_line], [lost ? 3 : 4, null]);
    assert.equal(notices.length, lost ? 1 : 0);
    assert.equal(existsSync(join(folder, 'receipts.damaged')), lost);
    if (lost) assert.equal(readFileSync(join(folder, 'receipts.damaged'), 'utf8').length, (cut as number) + 1);
  }
});

test('damage anywhere else is no crash: it is told', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-receipts-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'receipts.jsonl');
  const [{ event, receipt }] = await receiptsOf(hub, 1);
  await openReceipts(folder).keep(event, receipt);
  const line = readFileSync(file, 'utf8');
  for (const text of [`${line.slice(0, 40)}\n${line}`, `${line}${line.slice(0, 40)}\n`, `${line}{}`]) {
    writeFileSync(file, text);
    await assert.rejects(readReceipts(file, hub.id), { code: 'bad-receipt' });
  }
});
