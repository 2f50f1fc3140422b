// Parquet files as Hugging Face stores datasets: one text column, read a row group at a time (https://parquet.apache.org/docs/file-format).
import { stat } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { DataError } from './corpus-errors.ts';
import type { ParquetReply, ParquetRequest } from './corpus-parquet-worker.ts';

/** The text of one row group is in memory at once. Hugging Face writes groups of 1000 rows, a few megabytes. */
const LIMIT_GROUP_BYTES = 512 * 2 ** 20;
/** What the decoding thread may take: the largest row group a few times over (strings are UTF-16, buffers are copied). */
const LIMIT_HEAP_MB = 4096;
/** A row group of the largest size decodes in some ten seconds; beyond this the file is damaged. */
const GROUP_DEADLINE_MS = 120_000;

/** Asks the thread once and waits for its one reply; when it dies or takes too long, that is the file's fault. */
function ask(worker: Worker, request: ParquetRequest, deadline_ms: number): Promise<ParquetReply> {
  return new Promise((resolve) => {
    const finish = (reply: ParquetReply) => {
      clearTimeout(timer);
      worker.off('message', finish).off('error', failed).off('exit', ended);
      resolve(reply);
    };
    const failed = (error: unknown) => finish({ failure: error instanceof Error ? error.message : String(error) });
    const ended = () => finish({ failure: 'the decoder ended' });
    const timer = setTimeout(() => finish({ failure: `no result within ${deadline_ms} ms` }), deadline_ms);
    worker.on('message', finish).on('error', failed).on('exit', ended);
    worker.postMessage(request);
  });
}

/** The texts of one column, row by row; nulls are left out. Throws DataError `bad-record` or `too-large`. */
export async function* readParquet(
  path: string,
  text_field: string,
  deadline_ms = GROUP_DEADLINE_MS,
): AsyncGenerator<string> {
  await stat(path); // a missing file is told as such, not as a damaged one
  const worker = new Worker(new URL('./corpus-parquet-worker.ts', import.meta.url), {
    workerData: { path, text_field },
    resourceLimits: { maxOldGenerationSizeMb: LIMIT_HEAP_MB },
  });
  // A thread that runs out of memory while it is being ended still says so: without a listener that would end the process.
  worker.on('error', () => {});
  try {
    const opened = await ask(worker, null, deadline_ms);
    if (!('columns' in opened)) {
      const fact = 'failure' in opened ? ` (${opened.failure})` : '';
      throw new DataError('bad-record', `${path}: not a readable Parquet file${fact}`, { path });
    }
    const { columns, ranges } = opened;
    const column = columns.find(({ name }) => name === text_field);
    if (ranges.length > 0 && column?.type !== 'BYTE_ARRAY') {
      const names = columns.slice(0, 16).map(({ name }) => name);
      const fact = `no text column "${text_field}" (its columns: ${names.join(', ')})`;
      throw new DataError('bad-record', `${path}: ${fact}`, { path });
    }
    if (column && column.group_bytes > LIMIT_GROUP_BYTES) {
      const fact = `a row group holds ${column.group_bytes} bytes of text, at most ${LIMIT_GROUP_BYTES} are read at once`;
      throw new DataError('too-large', `${path}: ${fact}`, { path });
    }
    for (const { rowStart, rowEnd } of ranges) {
      const reply = await ask(worker, { rowStart, rowEnd }, deadline_ms);
      if (!('values' in reply)) {
        const fact = 'failure' in reply ? ` (${reply.failure})` : '';
        throw new DataError('bad-record', `${path}: rows ${rowStart} to ${rowEnd - 1} are damaged${fact}`, {
          path,
          row: rowStart,
        });
      }
      for (const [i, value] of reply.values.entries()) {
        if (typeof value === 'string') yield value;
        else if (value !== null) {
          const fact = `row ${rowStart + i} holds ${value.type} in "${text_field}", expected text`;
          throw new DataError('bad-record', `${path}: ${fact}`, { path, row: rowStart + i });
        }
      }
    }
  } finally {
    await worker.terminate();
  }
}
