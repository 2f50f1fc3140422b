// Every kind of text: compressed, piped, in UTF-16, as JSON of any form, as chats, in nested columns; and what is none says what it is.
// test/fixtures/nested.parquet, map.parquet and dots-and-json.parquet were written by hyparquet-writer 0.16 (12 and 2 rows).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { type CorpusOptions, emptyReport, readTexts } from './corpus.ts';
import { textOf } from './corpus-record.ts';
import { firstInvalid } from './corpus-text.ts';

const fixture = (name: string) => fileURLToPath(new URL(`../../test/fixtures/${name}`, import.meta.url));
const folder = await mkdtemp(join(tmpdir(), 'potluck-kinds-'));
after(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, contents: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, contents);
  return path;
}

async function all(paths: string | string[], options: CorpusOptions = {}): Promise<string[]> {
  const texts: string[] = [];
  for await (const text of readTexts(paths, options)) texts.push(text);
  return texts;
}

const refused = async (path: string, message: RegExp, options: CorpusOptions = {}, code = 'bad-record') =>
  assert.rejects(all(path, options), { name: 'DataError', code, message });

const LINES = '{"text":"one"}\n{"text":"two"}\n';
const COMPRESSORS = { gz: gzipSync, zst: zstdCompressSync, br: brotliCompressSync } as const;

describe('compressed', () => {
  for (const [ending, compress] of Object.entries(COMPRESSORS)) {
    test(`.${ending}: text, JSON lines, an array and Parquet are read as if they were not`, async () => {
      assert.deepEqual(await all(await file(`a.txt.${ending}`, compress('plain'))), ['plain']);
      assert.deepEqual(await all(await file(`a.jsonl.${ending}`, compress(LINES))), ['one', 'two']);
      assert.deepEqual(await all(await file(`a.json.${ending}`, compress('[{"text":"x"}]'))), ['x']);
      const parquet = await file(`a.parquet.${ending}`, compress(await readFile(fixture('text-zstd.parquet'))));
      const before = (await readdir(tmpdir())).filter((name) => name.startsWith('potluck-parquet-'));
      assert.equal((await all(parquet)).length, 38);
      const left = (await readdir(tmpdir())).filter((name) => name.startsWith('potluck-parquet-'));
      assert.ok(left.length <= before.length, 'nothing is left behind');
    });
  }

  test('by what is in the file, whatever its name says', async () => {
    assert.deepEqual(await all(await file('none', gzipSync(LINES))), ['one', 'two']);
    assert.deepEqual(await all(await file('b.jsonl', zstdCompressSync(LINES))), ['one', 'two']);
    assert.deepEqual(await all(await file('unpacked.txt.gz', 'plain all the same')), ['plain all the same']);
  });

  test('several members or frames in one file, and frames to be passed over', async () => {
    const half = [LINES.slice(0, 15), LINES.slice(15)];
    assert.deepEqual(await all(await file('m.jsonl.gz', Buffer.concat(half.map((part) => gzipSync(part))))), [
      'one',
      'two',
    ]);
    const skippable = Buffer.from([0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    const frames = Buffer.concat([skippable, ...half.map((part) => zstdCompressSync(part)), skippable]);
    assert.deepEqual(await all(await file('m.jsonl.zst', frames)), ['one', 'two']);
  });

  test('any text comes back out of any frames', async () => {
    const parts = fc.array(fc.string({ maxLength: 300_000, unit: 'grapheme' }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(parts, async (parts) => {
        const whole = `begin${parts.join('').replaceAll('\r', ' ')}`;
        const frames = ['begin', ...parts.map((part) => part.replaceAll('\r', ' '))].map((part) =>
          zstdCompressSync(part),
        );
        assert.deepEqual(await all(await file('any.txt.zst', Buffer.concat(frames))), [whole]);
      }),
      { numRuns: 15 },
    );
  });

  test('what is cut short or damaged is told as that, not read half', async () => {
    const text = Array.from({ length: 5000 }, (_, i) => `line ${i * 7919}`).join('\n');
    for (const [ending, compress] of Object.entries(COMPRESSORS)) {
      const bytes = compress(text);
      const cut = await file(`cut.txt.${ending}`, bytes.subarray(0, bytes.length - 6));
      await refused(cut, /its (gzip|Zstandard|Brotli) data is cut short after \d+ bytes of text/);
    }
    // Brotli has no checksum, and Zstandard need not have one.
    const checksum = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };
    for (const [ending, bytes] of [
      ['gz', gzipSync(text)],
      ['zst', zstdCompressSync(text, checksum)],
    ] as const) {
      bytes.fill(0xff, bytes.length >> 1, (bytes.length >> 1) + 40);
      await refused(
        await file(`damaged.txt.${ending}`, bytes),
        /its (gzip|Zstandard) data is (damaged \(.+\)|cut short)/,
      );
    }
    const second = Buffer.concat([zstdCompressSync('one'), zstdCompressSync('two').subarray(0, 9)]);
    await refused(await file('second.txt.zst', second), /Zstandard data is cut short after 3 bytes/);
    await refused(await file('twice.txt.gz', gzipSync(gzipSync('x'))), /compressed twice/);
  });
});

test('standard input is read like a file, compressed or not; what it holds is seen by what it begins with', async () => {
  const script = `import { readTexts } from ${JSON.stringify(new URL('./corpus.ts', import.meta.url).href)};
    for await (const text of readTexts('-')) console.log(JSON.stringify(text));`;
  const program = await file('read-stdin.mjs', script);
  const piped = (input: Uint8Array | string): Promise<string[]> =>
    new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] });
      let said = '';
      child.stdout.on('data', (piece) => {
        said += piece;
      });
      child.on('error', reject);
      child.on('close', () =>
        resolve(
          said
            .split('\n')
            .filter(Boolean)
            .map((line) => JSON.parse(line)),
        ),
      );
      child.stdin.end(input);
    });
  assert.deepEqual(await piped('plain\ntext'), ['plain\ntext']);
  assert.deepEqual(await piped(gzipSync(LINES)), ['one', 'two']);
  assert.equal((await piped(await readFile(fixture('text-zstd.parquet')))).length, 38);
});

describe('JSON', () => {
  test('an array, an object over several lines, and JSON lines called .json, are read as records', async () => {
    const records = [{ text: 'a "quoted], [' }, { id: 1, text: 'b\\' }, { text: null }, { text: 'c' }];
    const texts = ['a "quoted], [', 'b\\', 'c'];
    for (const json of [
      JSON.stringify(records),
      JSON.stringify(records, null, 2),
      ` \n${JSON.stringify(records)}\n \n`,
      records.map((record) => JSON.stringify(record)).join('\n'),
      records.map((record) => JSON.stringify(record, null, 1)).join('\n'),
    ]) {
      assert.deepEqual(await all(await file('r.json', json)), texts, json);
      assert.deepEqual(await all(await file('bare', json)), texts, json);
    }
    assert.deepEqual(await all(await file('strings.json', '["a","b,]"]')), ['a', 'b,]']);
    assert.deepEqual(await all(await file('prose', '{ not JSON, though it begins so')), [
      '{ not JSON, though it begins so',
    ]);
  });

  test('an array of any records comes back, wherever the pieces of the file are cut', async () => {
    const texts = fc.array(
      fc.string({ unit: 'grapheme' }).filter((text) => text.trim() !== '' && !text.includes('\r\n')),
      { minLength: 1 },
    );
    await fc.assert(
      fc.asyncProperty(texts, fc.nat(3), async (texts, indent) => {
        const documents = ['x'.repeat(262_100), ...texts];
        const path = await file(
          'any.json',
          JSON.stringify(
            documents.map((text) => ({ text, more: [{}, []] })),
            null,
            indent,
          ),
        );
        assert.deepEqual(await all(path), documents);
      }),
      { numRuns: 30 },
    );
  });

  test('what is broken is told with its number', async () => {
    await refused(await file('x.json', '[{"text":"a"},{"text":b}]'), /x\.json: item 2 is not JSON/);
    await refused(await file('x.json', '[{"text":"a"},{"text":"b"'), /ends in the middle of item 2/);
    await refused(await file('x.json', '[{"text":"a"}] more'), /expected nothing after its array/);
    await refused(await file('x.json', '[{"text":"a"},5]'), /item 2 is not a JSON object/);
    await refused(await file('x.json', 'plain'), /expected JSON with an array or objects/);
    await refused(await file('x.json', '{"a":1}\n{"text":"b"}'), /line 1 has no text in "text" \(its fields: a\)/);
    await refused(await file('x.json', '[]'), /no text found/, {}, 'no-text');
    await refused(
      await file('x.json', `[{"text":"${'x'.repeat(17 * 2 ** 20)}"}]`),
      /item 1 is longer/,
      {},
      'too-large',
    );
  });

  test('as many bad records are passed over as were allowed, and counted', async () => {
    const lines = '{"text":"a"}\nnonsense\n{"text":5}\n{"other":1}\n{"text":"b"}\n';
    const broken = Buffer.concat([Buffer.from(lines), Uint8Array.of(0x22, 0xe9, 10), Buffer.from('{"text":"c"}')]);
    const path = await file('bad.jsonl', broken);
    const report = emptyReport();
    assert.deepEqual(await all(path, { skip_bad: 4, report }), ['a', 'b', 'c']);
    assert.deepEqual([report.bad_records, report.first_bad], [4, `${path}: line 2 is not JSON`]);
    await refused(
      path,
      /line 6 is not UTF-8 text: byte 59 is 0xe9; 3 bad records before it were skipped, as --skip-bad 3 allows/,
      { skip_bad: 3 },
    );
    const array = await file('bad.json', '[{"text":"a"},{"no":1},{"text":"b"}]');
    assert.deepEqual(await all(array, { skip_bad: 1 }), ['a', 'b']);
  });
});

describe('the text of a record', () => {
  const fault = (record: unknown, field?: string): string => {
    const found = textOf(record, field);
    assert.ok(found && 'fault' in found, JSON.stringify(found));
    return found.fault;
  };
  const text = (record: unknown, field?: string) => {
    const found = textOf(record, field);
    return found && 'text' in found ? found.text : found;
  };

  test('stands at a field or at the end of a path', () => {
    assert.equal(text({ text: 'a' }), 'a');
    assert.equal(text({ a: { b: 'deep' } }, 'a.b'), 'deep');
    assert.equal(text({ 'a.b': 'with a dot' }, 'a.b'), 'with a dot');
    assert.equal(text({ a: [{ b: 'x' }, { b: null }, { b: 'y' }] }, 'a.b'), 'x\ny');
    assert.equal(text({ a: null }, 'a.b'), null);
    assert.match(fault({ a: { c: 1 } }, 'a.b'), /has no text in "a\.b" \(its fields: a\)/);
    assert.match(fault({ a: {} }, 'a.constructor'), /has no text in/);
  });

  test('is told from what is none, by what that is', () => {
    assert.equal(fault({ messages: ['a'] }, 'messages'), 'has no text in "messages": messages is a list, not text');
    assert.equal(fault({ text: { en: 'a' } }), 'has no text in "text": text is an object (its fields: en), not text');
    assert.equal(fault({ text: true }), 'has no text in "text": text is true, not text');
    assert.equal(fault(['text']), 'is not a JSON object');
  });

  test('is a chat, in the forms of OpenAI and of ShareGPT', () => {
    const said = 'system: Be kind.\n\nuser: Hello\n\nassistant: Hi\nthere';
    const messages = [
      { role: 'system', content: 'Be kind.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Hello' },
          { type: 'image_url', image_url: {} },
        ],
      },
      { role: 'assistant', content: null },
      { role: 'assistant', content: [{ type: 'text', text: 'Hi' }, 'there'] },
    ];
    assert.deepEqual(textOf({ messages }), { text: said, chat: true });
    assert.equal(text({ chat: { log: messages } }, 'chat.log'), said);
    const conversations = [
      { from: 'system', value: 'Be kind.' },
      { from: 'human', value: 'Hello' },
      { from: 'gpt', value: 'Hi\nthere' },
    ];
    assert.deepEqual(textOf({ id: 1, conversations }), { text: said, chat: true });
    assert.equal(text({ messages: [] }), null);
    assert.equal(
      fault({ messages: [{ role: 'user', content: 5 }] }),
      'is a chat whose message 1 has no text but a number',
    );
    assert.equal(fault({ messages: [{ role: 1, content: 'x' }] }), 'is a chat whose message 1 does not say who speaks');
  });
});

test('nested columns of Parquet are read: a leaf of a group, chats in a list of groups, maps, JSON, names with dots', async () => {
  const nested = fixture('nested.parquet');
  const documents = Array.from({ length: 12 }, (_, i) => i)
    .filter((i) => i !== 3 && i !== 5)
    .map((i) => `document ${i}`);
  assert.deepEqual(await all(nested, { text_field: 'doc.text' }), documents);
  assert.equal((await all(nested, { text_field: 'doc.meta.title' })).length, 11);
  const report = emptyReport();
  const chats = await all(nested, { report });
  assert.deepEqual([chats.length, report.chats, chats[0]], [11, 11, 'user: question 0\n\nassistant: answer 0']);
  assert.ok(chats.includes('user: question 6'), 'a message without text is left out');
  assert.deepEqual(await all(nested, { text_field: 'turns' }), chats);
  for (const field of ['messages.content', 'messages.list.element.content']) {
    assert.equal((await all(nested, { text_field: field }))[1], 'question 1\nanswer 1');
  }
  assert.deepEqual(await all(fixture('map.parquet'), { text_field: 'm.en' }), ['hello', 'world']);
  assert.deepEqual(await all(fixture('dots-and-json.parquet'), { text_field: 'a.b' }), ['x1', 'x2']);
  assert.deepEqual(await all(fixture('dots-and-json.parquet'), { text_field: 'j.text' }), ['in json', 'more']);
  const copy = await file('without-ending', await readFile(nested));
  assert.equal((await all(copy)).length, 11);
});

test('a good Parquet file is never called damaged', async () => {
  const nested = fixture('nested.parquet');
  for (const [field, says] of [
    ['tags', /row 0 has no text in "tags": tags is a list, not text/],
    ['doc', /row 0 has no text in "doc": doc is an object \(its fields: text, meta\), not text/],
    ['doc.meta.stars', /no text column "doc\.meta\.stars" \(its columns: id, doc\.text, doc\.meta\.title/],
    ['body', /no text column "body" \(its columns: id, doc\.text,/],
  ] as const) {
    await refused(nested, says, { text_field: field });
  }
  assert.equal((await all(nested, { text_field: 'doc.text', skip_bad: 1 })).length, 10);
});

describe('bytes', () => {
  test('UTF-16 that says so is read, both ways round', async () => {
    const text = 'naïve 😀\r\nsecond';
    const le = Buffer.from(`\ufeff${text}`, 'utf16le');
    const report = emptyReport();
    assert.deepEqual(await all(await file('le.txt', le), { report }), ['naïve 😀\nsecond']);
    assert.deepEqual([report.utf16_files, report.crlf_files], [1, 1]);
    assert.deepEqual(await all(await file('be.txt', Buffer.from(le).swap16())), ['naïve 😀\nsecond']);
    assert.deepEqual(await all(await file('le.jsonl', Buffer.from(`\ufeff${LINES}`, 'utf16le'))), ['one', 'two']);
    await refused(await file('half.txt', le.subarray(0, 15)), /not UTF-16 text, though its byte order mark says so/);
  });

  test('what is not text says what it is, or where its first wrong byte is', async () => {
    for (const [contents, says] of [
      [Buffer.from('%PDF-1.7 …'), /not UTF-8 text but a PDF/],
      [Buffer.from('PK\x03\x04…'), /a zip archive/],
      [Buffer.from('\xfd7zXZ\0', 'latin1'), /compressed by xz; \.gz, \.zst and \.br are read/],
      [Buffer.concat([Buffer.alloc(257, 'a'), Buffer.from('ustar\x0000')]), /a tar archive; unpack it/],
      [Buffer.from('text', 'utf16le'), /binary, or UTF-16 without its mark: byte 1 is zero/],
      [Buffer.from([0xff, 0xfe, 0, 0, 0x61, 0, 0, 0]), /UTF-32 text; UTF-8 and UTF-16 are read/],
      [Buffer.concat([Buffer.from('é'.repeat(200_000)), Uint8Array.of(0xe9, 0x62)]), /byte 400000 is 0xe9/],
      [Buffer.concat([Buffer.from('ok'), Uint8Array.of(0xf0, 0x9f)]), /byte 2 is 0xf0/],
    ] as const) {
      await refused(await file('strange', contents), says);
    }
  });

  test('the first wrong byte is where the platform finds one', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 12 }),
      fc.string({ unit: 'binary' }).map((text) => new TextEncoder().encode(text)),
    );
    fc.assert(
      fc.property(bytes, fc.uint8Array({ maxLength: 3 }), (start, end) => {
        const both = Uint8Array.of(...start, ...end);
        const decodes = (part: Uint8Array): boolean => {
          try {
            new TextDecoder('utf-8', { fatal: true }).decode(part);
            return true;
          } catch {
            return false;
          }
        };
        const at = firstInvalid(both);
        assert.equal(at === both.length, decodes(both));
        assert.ok(decodes(both.subarray(0, at)), 'what stands before is good');
      }),
    );
  });

  test('line ends of Windows become those of Unix in every kind, also where a part of a long text ends', async () => {
    const report = emptyReport();
    assert.deepEqual(await all(await file('w.txt', 'a\r\nb\rc'), { report }), ['a\nb\rc']);
    assert.deepEqual(await all(await file('w.jsonl', '{"text":"a\\r\\nb"}\r\n'), { report }), ['a\nb']);
    assert.equal(report.crlf_files, 2);
    const long = `${'x'.repeat(4 * 2 ** 20 - 1)}\r\nend`;
    assert.equal((await all(await file('long.txt', long))).join(''), long.replace('\r\n', '\n'));
  });
});
