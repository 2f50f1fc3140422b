// The page reads the files that the command reads, or says that it cannot.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { readFiles } from './read-files.ts';

const LIMIT = 1000;
const file = (name: string, contents: string | Uint8Array): File =>
  new File([contents as Uint8Array<ArrayBuffer>], name);
const read = (...files: File[]): Promise<string | null> => readFiles(files, LIMIT);

test('texts, JSON of any form, chats and gzip are read as documents', async () => {
  const lines = '{"text":"one"}\n{"messages":[{"role":"user","content":"Hello"}]}\n';
  assert.equal(await read(file('a.txt', '\ufeffa\r\nb'), file('b.md', 'c')), 'a\nb\n\nc');
  assert.equal(await read(file('a.jsonl', lines)), 'one\n\nuser: Hello');
  assert.equal(await read(file('a.jsonl.gz', gzipSync(lines))), 'one\n\nuser: Hello');
  assert.equal(await read(file('a.json', '[{"text":"x"},{"text":"y"}]')), 'x\n\ny');
  assert.equal(await read(file('le.txt', Buffer.from('\ufeffnaïve', 'utf16le'))), 'naïve');
});

test('what cannot be read is told with the name of the file, and too much is not unpacked', async () => {
  for (const [contents, says] of [
    [zstdCompressSync('x'), /^a\.txt: compressed by Zstandard, which the command reads and this page does not$/],
    [new TextEncoder().encode('PAR1\x15…'), /^a\.txt: a Parquet file, which the command reads/],
    [new TextEncoder().encode('%PDF-1.7'), /^a\.txt: not text but a PDF$/],
    [Uint8Array.of(0x61, 0xe9, 0x62), /^a\.txt: not UTF-8 text: byte 1 is 0xe9$/],
    [gzipSync('text'.repeat(100)).subarray(0, 20), /^a\.txt: the browser cannot read it, or its gzip data is damaged$/],
  ] as const) {
    await assert.rejects(read(file('a.txt', contents)), { name: 'DataError', message: says });
  }
  await assert.rejects(read(file('a.jsonl', '{"text":1}')), {
    message: /^a\.jsonl: line 1 has no text in "text": text is a number/,
  });
  assert.equal(await read(file('a.txt.gz', gzipSync('x'.repeat(10_000_000)))), null);
});
