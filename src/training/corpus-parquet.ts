// Reads Parquet files as Hugging Face stores datasets: one column of texts or chats, one row group at a time (https://parquet.apache.org/docs/file-format).
import { stat } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { DataError } from './corpus-errors.ts';
import type { Reading } from './corpus-lines.ts';
import type { ParquetColumn, ParquetReply, ParquetRequest } from './corpus-parquet-worker.ts';
import { USUAL_FIELDS } from './corpus-record.ts';

/** The text of one row group is in memory at once. Hugging Face writes groups of 1000 rows, a few megabytes. */
const LIMIT_GROUP_BYTES = 512 * 2 ** 20;
/** The memory of the decoding thread: the largest row group a few times over (strings are UTF-16, buffers are copied). */
const LIMIT_HEAP_MB = 4096;
/** A row group of the largest size is decoded in some ten seconds; if it takes longer than this, the file is damaged. */
const GROUP_DEADLINE_MS = 120_000;

/** Sends the thread one request and waits for its one reply. If it dies or takes too long, the file is to blame. */
function ask(worker: Worker, request: ParquetRequest, deadline_ms: number): Promise<ParquetReply> {
  return new Promise((resolve) => {
    const finish = (reply: ParquetReply) => {
      clearTimeout(timer);
      worker.off('message', finish).off('error', failed).off('exit', ended);
      resolve(reply);
    };
    const failed = (error: unknown) => finish({ failure: error instanceof Error ? error.message : String(error) });
    const ended = () => finish({ failure: 'the decoder stopped' });
    const timer = setTimeout(() => finish({ failure: `no result within ${deadline_ms} ms` }), deadline_ms);
    worker.on('message', finish).on('error', failed).on('exit', ended);
    worker.postMessage(request);
  });
}

/** The columns that were asked for: one by its name or its stored name, or all columns within a group of that name. */
function columnsAt(columns: readonly ParquetColumn[], field: string): readonly ParquetColumn[] {
  const exact = columns.filter(({ name, stored_name }) => name === field || stored_name === field);
  if (exact.length > 0) return exact;
  return columns.filter(({ name, open }) => name.startsWith(`${field}.`) || (open && field.startsWith(`${name}.`)));
}

/** Whether the file has text where it is looked for; refuses as much as the schema alone shows. */
function checkColumns(path: string, columns: readonly ParquetColumn[], text_field: string | undefined): void {
  const usual = USUAL_FIELDS.find((field) => columnsAt(columns, field).length > 0) ?? USUAL_FIELDS[0];
  const wanted = columnsAt(columns, text_field ?? usual);
  if (!wanted.some(({ type }) => type === 'BYTE_ARRAY')) {
    const names = columns.slice(0, 16).map(({ name }) => name);
    const fact = `no text column "${text_field ?? usual}" (its columns: ${names.join(', ')})`;
    throw new DataError('bad-record', `${path}: ${fact}`, { path });
  }
  const group_bytes = Math.max(...wanted.map((column) => column.group_bytes));
  if (group_bytes > LIMIT_GROUP_BYTES) {
    const fact = `a row group holds ${group_bytes} bytes of text, at most ${LIMIT_GROUP_BYTES} are read at once`;
    throw new DataError('too-large', `${path}: ${fact}`, { path });
  }
}

const failureOf = (reply: ParquetReply): string => ('failure' in reply ? reply.failure : 'no answer from the decoder');

/** What is wrong with rows that cannot be decoded. A good file that this decoder cannot read is not called damaged. */
function verdictOn(failure: string): string {
  if (/unsupported|not supported|unknown codec/i.test(failure))
    return `are stored in a way that is not read here (${failure})`;
  if (/memory limit|out of memory/i.test(failure)) return `take more than ${LIMIT_HEAP_MB} MB to decode`;
  return `are damaged (${failure})`;
}

export interface ParquetOptions {
  /** The name of the file for people, where it is read under another name. */
  readonly name?: string;
  /** Called with the part of all rows that was read since the last call. */
  readonly onRows?: (part: number) => void;
  readonly deadline_ms?: number;
}

/** The texts of one column, row by row; nulls are left out. Throws DataError `bad-record` or `too-large`. */
export async function* readParquet(
  path: string,
  reading: Reading,
  options: ParquetOptions = {},
): AsyncGenerator<string> {
  const { name = path, onRows, deadline_ms = GROUP_DEADLINE_MS } = options;
  await stat(path); // so that a missing file is not reported as a damaged one
  const { text_field } = reading;
  const worker = new Worker(new URL('./corpus-parquet-worker.ts', import.meta.url), {
    workerData: { path, text_field },
    resourceLimits: { maxOldGenerationSizeMb: LIMIT_HEAP_MB },
  });
  // A thread that runs out of memory while it is being stopped emits an error, which would end the process without a listener.
  worker.on('error', () => {});
  try {
    const opened = await ask(worker, null, deadline_ms);
    if (!('columns' in opened)) {
      throw new DataError('bad-record', `${name}: not a readable Parquet file (${failureOf(opened)})`, { path: name });
    }
    const { columns, ranges } = opened;
    if (ranges.length > 0) checkColumns(name, columns, text_field);
    const rows = ranges.at(-1)?.rowEnd ?? 0;
    for (const { rowStart, rowEnd } of ranges) {
      const reply = await ask(worker, { rowStart, rowEnd }, deadline_ms);
      if (!('values' in reply)) {
        const fact = `rows ${rowStart} to ${rowEnd - 1} ${verdictOn(failureOf(reply))}`;
        throw new DataError('bad-record', `${name}: ${fact}`, { path: name, row: rowStart });
      }
      for (const [i, found] of reply.values.entries()) {
        if (found === null) continue;
        if ('fault' in found) {
          const row = rowStart + i;
          reading.bad(new DataError('bad-record', `${name}: row ${row} ${found.fault}`, { path: name, row }));
        } else {
          if (found.chat) reading.chat();
          yield found.text;
        }
      }
      onRows?.((rowEnd - rowStart) / rows);
    }
  } finally {
    await worker.terminate();
  }
}
