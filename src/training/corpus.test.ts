// Corpora: every format gives its documents in order, folders are the same on every machine, and bad files say which line is bad.
// test/fixtures/text-*.parquet were written by pyarrow 25 as Hugging Face datasets writes them (columns id, text, tags; 40 rows in 3 row groups).
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { type CorpusOptions, emptyReport, readTexts } from './corpus.ts';
import { defaultCorpus } from './corpus-default.ts';
import { DataError } from './corpus-errors.ts';
import { leftOutSentence } from './corpus-files.ts';
import type { Reading } from './corpus-lines.ts';
import { readParquet } from './corpus-parquet.ts';

const fixture = (name: string) => fileURLToPath(new URL(`../../test/fixtures/${name}`, import.meta.url));

async function folder(t: TestContext, files: Record<string, string | Uint8Array> = {}): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'potluck-corpus-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  for (const [name, contents] of Object.entries(files)) {
    await mkdir(join(dir, name, '..'), { recursive: true });
    await writeFile(join(dir, name), contents);
  }
  return dir;
}

async function collect(texts: AsyncIterable<string>): Promise<string[]> {
  const list: string[] = [];
  for await (const text of texts) list.push(text);
  return list;
}

const READING: Reading = {
  bad(error) {
    throw error;
  },
  chat: () => {},
};

const all = (path: string | string[], options: CorpusOptions = {}) => collect(readTexts(path, options));

test('a text file is one document, whatever its name', async (t) => {
  const dir = await folder(t, { 'a.txt': '\ufeffé\r\nb', notes: 'plain' });
  assert.deepEqual(await all(join(dir, 'a.txt')), ['é\nb']);
  assert.deepEqual(await all(join(dir, 'notes')), ['plain']);
});

test('a large text file comes in parts that end with a line and together are the file', async (t) => {
  const line = `${'ab😀'.repeat(25)}\n`;
  const text = line.repeat(110_000);
  const dir = await folder(t, { 'large.txt': text, 'one-line.txt': '😀'.repeat(5_000_000) });
  const parts = await all(join(dir, 'large.txt'));
  assert.ok(parts.length >= 2 && parts.slice(0, -1).every((part) => part.endsWith('\n')));
  assert.ok(parts.every((part) => part.length < 5 * 2 ** 20));
  assert.equal(parts.join(''), text);
  const pieces = await all(join(dir, 'one-line.txt'));
  assert.ok(pieces.length >= 2 && pieces.every((piece) => piece.isWellFormed()));
  assert.equal(pieces.join('').length, 10_000_000);
});

test('a folder is read in the order of names; what is left out is counted with its reason', async (t) => {
  const dir = await folder(t, {
    'b.md': 'b',
    'B.txt': 'B',
    'sub/z.jsonl': '{"text":"z"}\n',
    'sub/deeper/y.TXT': 'y',
    '.hidden/h.txt': 'hidden',
    '.h': 'hidden',
    'image.png': 'no text',
    'table.csv.gz': 'no text',
    'package.json': '{"name":"settings beside data"}',
    'blank.txt': ' \n',
    'empty.txt': '',
  });
  const report = emptyReport();
  assert.deepEqual(await all(dir, { report }), ['B', 'b', 'y', 'z']);
  assert.equal(leftOutSentence(report.left_out), '2 hidden, 1 empty, 1 .png, 1 .json without a text, 1 .csv.gz');
  assert.deepEqual([report.files, report.documents, report.read_bytes], [5, 4, report.total_bytes]);
  assert.deepEqual(
    [...report.kinds],
    [
      ['plain text', 4],
      ['JSON lines', 1],
    ],
  );
});

test('links are followed, in circles too, nothing is read twice, and broken ones are told', async (t) => {
  const outside = await folder(t, {
    'blobs/0a1b': '{"text":"by its hash"}\n',
    'blobs/2c': await readFile(fixture('text-zstd.parquet')),
  });
  const dir = await folder(t, { 'own.txt': 'own' });
  await symlink(join(outside, 'blobs', '0a1b'), join(dir, 'train.jsonl'));
  await symlink(outside, join(dir, 'whole'));
  await symlink(dir, join(dir, 'loop'));
  await symlink('self', join(dir, 'self'));
  await symlink('train.jsonl', join(dir, 'zz.jsonl'));
  await symlink('gone.txt', join(dir, 'broken.txt'));
  const report = emptyReport();
  const texts = await all(dir, { report });
  assert.deepEqual(texts.slice(0, 2), ['own', 'by its hash']);
  assert.equal(texts.length, 2 + 38, 'a Parquet file that is called by its hash alone is read');
  assert.deepEqual(
    new Set(leftOutSentence(report.left_out).split(', ')),
    new Set(['1 broken link', '2 links in a circle', '1 without an ending', '1 read already under another name']),
  );
  assert.equal(report.left_out.get('broken link')?.example, join(dir, 'broken.txt'));
  assert.deepEqual(await all([join(dir, 'own.txt'), dir]), texts, 'a file and its folder');
  assert.deepEqual(
    await all([join(dir, 'zz.jsonl'), join(dir, 'own.txt')]),
    ['by its hash', 'own'],
    'in the order given',
  );
});

test('JSON lines: the chosen field, blank lines and nulls left out', async (t) => {
  const dir = await folder(t, {
    'd.jsonl': '{"text":"one","body":"eins"}\r\n\n{"text":null,"body":"zwei"}\n{"text":"d\\nrei","body":""}',
  });
  assert.deepEqual(await all(join(dir, 'd.jsonl')), ['one', 'd\nrei']);
  assert.deepEqual(await all(join(dir, 'd.jsonl'), { text_field: 'body' }), ['eins', 'zwei']);
});

test('JSON lines of any text come back, wherever the pieces of the file are cut', async (t) => {
  const dir = await folder(t);
  const texts = fc.array(
    fc.string({ unit: 'grapheme' }).filter((text) => text.trim() !== ''),
    { minLength: 1 },
  );
  await fc.assert(
    fc.asyncProperty(texts, fc.boolean(), async (texts, long) => {
      const path = join(dir, 'any.jsonl');
      // The read buffer has 256 KiB: a long record moves every later one to another place in it.
      const documents = long ? ['x'.repeat(262_100), ...texts] : texts;
      await writeFile(path, documents.map((text) => `${JSON.stringify({ text })}\n`).join(''));
      assert.deepEqual(await all(path), documents);
    }),
    { numRuns: 40 },
  );
});

test('a bad JSON line is named with its number', async (t) => {
  for (const [line, says] of [
    ['{"text":', /bad\.jsonl: line 3 is not JSON/],
    ['["text"]', /line 3 is not a JSON object/],
    ['{"content":"x","id":1}', /line 3 has no text in "text" \(its fields: content, id\)/],
    ['{"text":5}', /line 3 has no text in "text": text is a number, not text$/],
    ['{"__proto__":{"text":"x"}}', /line 3 has no text/],
  ] as const) {
    const dir = await folder(t, { 'bad.jsonl': `{"text":"one"}\n\n${line}\n{"text":"two"}\n` });
    await assert.rejects(all(dir), { name: 'DataError', code: 'bad-record', message: says });
  }
});

test('a line without an end is refused before it fills the memory', async (t) => {
  const dir = await folder(t, { 'array.jsonl': `[${'"x",'.repeat(5_000_000)}` });
  await assert.rejects(all(dir), { name: 'DataError', code: 'too-large', message: /line 1/ });
});

test('what is not there, not text or not UTF-8 is a typed error', async (t) => {
  const dir = await folder(t, { 'latin1.txt': Uint8Array.of(0x61, 0xe9, 0x62), 'cut.txt': Uint8Array.of(0xf0, 0x9f) });
  await assert.rejects(all(join(dir, 'nowhere')), { name: 'DataError', code: 'missing-file', message: /nowhere/ });
  await assert.rejects(all(join(dir, 'latin1.txt')), { name: 'DataError', code: 'bad-record', message: /not UTF-8/ });
  await assert.rejects(all(join(dir, 'cut.txt')), { name: 'DataError', code: 'bad-record' });
  const empty = await folder(t, { 'picture.png': 'x' });
  await assert.rejects(all(empty), { name: 'DataError', code: 'no-text', message: /\.txt, \.md.*\.parquet/ });
  if (process.platform === 'linux') await assert.rejects(all('/dev/null'), { code: 'unreadable-file' });
});

for (const name of ['text-snappy.parquet', 'text-zstd.parquet']) {
  test(`${name}: the text column, row by row, nulls left out`, async () => {
    const texts = await all(fixture(name));
    // Row 3 is null and row 7 empty.
    assert.equal(texts.length, 38);
    assert.equal(texts[0], 'Document 0: potluck trains models on devices people already own. ');
    assert.ok(texts.includes('naïve café 😀 日本\nsecond line'));
    assert.match(texts[37], /^Document 39: (potluck.*own\. ){5}$/);
  });

  test(`${name}: a missing or wrong column, and damage, are typed errors`, async (t) => {
    await assert.rejects(all(fixture(name), { text_field: 'body' }), {
      name: 'DataError',
      code: 'bad-record',
      message: /no text column "body" \(its columns: id, text, /,
    });
    await assert.rejects(all(fixture(name), { text_field: 'id' }), { name: 'DataError', code: 'bad-record' });
    const bytes = await readFile(fixture(name));
    const dir = await folder(t);
    const path = join(dir, 'damaged.parquet');
    await writeFile(path, bytes.subarray(0, bytes.length - 9));
    await assert.rejects(all(path), { name: 'DataError', code: 'bad-record' });
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(255), async (at, value) => {
        await writeFile(path, Buffer.from(bytes.with(at, value)));
        try {
          await collect(readParquet(path, READING, { deadline_ms: 2000 }));
        } catch (error) {
          assert.ok(error instanceof DataError, String(error));
        }
      }),
      { numRuns: 8 },
    );
  });
}

test('damage that would keep the decoder busy for minutes ends at the deadline, and the process goes on', async (t) => {
  const bytes = await readFile(fixture('text-zstd.parquet'));
  const path = join(await folder(t), 'endless.parquet');
  await writeFile(path, Buffer.from(bytes.with(657, 120))); // the count of values in a page header
  await assert.rejects(collect(readParquet(path, READING, { deadline_ms: 2500 })), {
    name: 'DataError',
    code: 'bad-record',
    message: /rows \d+ to \d+ are damaged \(no result within 2500 ms\)/,
  });
});

test('the default corpus is at least a megabyte of documents, the same every time, none twice', async () => {
  const texts = await collect(defaultCorpus());
  assert.ok(texts.reduce((sum, text) => sum + text.length, 0) > 1e6);
  assert.equal(new Set(texts).size, texts.length);
  assert.deepEqual(await collect(defaultCorpus()), texts);
});
