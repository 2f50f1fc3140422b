// The text of files that somebody picks in the page, read with the command's own code, except Parquet and Zstandard, which browsers cannot read.

import { DataError } from '../../training/corpus-errors.ts';
import { readJson } from '../../training/corpus-json.ts';
import { compressionOf, foreignFormat, isParquet, kindByContent, kindByName } from '../../training/corpus-kinds.ts';
import { type Reading, readJsonLines, readPlainText } from '../../training/corpus-lines.ts';
import { encodingOf, fromUtf16, peek, withoutMark } from '../../training/corpus-text.ts';

const PEEKED_BYTES = 4096;
const BETWEEN_DOCUMENTS = '\n\n';

const READING: Reading = {
  bad(error) {
    throw error;
  },
  chat() {},
};

/** A stream for `for await`, because not every browser supports that on streams. */
async function* piecesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } finally {
    await reader.cancel().catch(() => {}); // the stream has failed or ended already
  }
}

async function* documentsOf(file: File): AsyncGenerator<string> {
  const { name } = file;
  const refuse = (fact: string): DataError => new DataError('bad-record', `${name}: ${fact}`);
  let { head, bytes } = await peek(piecesOf(file.stream()), PEEKED_BYTES);
  const compression = compressionOf(name, head);
  if (compression === 'gzip') {
    const unpacked = file.stream().pipeThrough(new DecompressionStream('gzip'));
    ({ head, bytes } = await peek(piecesOf(unpacked), PEEKED_BYTES));
  } else if (compression) throw refuse(`compressed by ${compression}, which the command reads and this page does not`);
  if (isParquet(head)) throw refuse('a Parquet file, which the command reads and this page does not');
  const encoding = encodingOf(head);
  if (encoding === 'utf-16le' || encoding === 'utf-16be') {
    ({ head, bytes } = await peek(fromUtf16(name, bytes, encoding), PEEKED_BYTES));
  } else if (foreignFormat(head)) throw refuse(`not text but ${foreignFormat(head)}`);
  else if (head.includes(0)) throw refuse('not text: it has bytes that are zero');
  const source = { path: name, bytes: withoutMark(bytes) };
  const kind = kindByName(name) ?? kindByContent(head);
  if (kind === 'lines') yield* readJsonLines(source, READING);
  else if (kind === 'json') yield* readJson(source, READING);
  else yield* readPlainText(source);
}

/** The documents of files as one text; null where they exceed `limit_bytes`. Throws DataError, which says what is wrong with which file. */
export async function readFiles(files: readonly File[], limit_bytes: number): Promise<string | null> {
  let text = '';
  for (const file of files) {
    let part = '';
    try {
      for await (const document of documentsOf(file)) {
        // A long plain text comes in parts, which belong together.
        part += part === '' || kindByName(file.name) === 'text' ? document : BETWEEN_DOCUMENTS + document;
        if (text.length + part.length > limit_bytes) return null;
      }
    } catch (error) {
      if (error instanceof DataError) throw error;
      throw new DataError('unreadable-file', `${file.name}: the browser cannot read it, or its gzip data is damaged`);
    }
    text += text === '' ? part : BETWEEN_DOCUMENTS + part;
  }
  return text.replaceAll('\r\n', '\n');
}
