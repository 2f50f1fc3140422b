// The worker thread that decodes Parquet files: a damaged one can keep the decoder busy for hours or fill the memory.
import { parentPort, workerData } from 'node:worker_threads';
import { asyncBufferFromFile, parquetScan } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';

/** The thread answers each request with one reply, in order; the first request is the opening, without a range. */
export type ParquetRequest = { readonly rowStart: number; readonly rowEnd: number } | null;
export type ParquetReply =
  | { readonly columns: readonly ParquetColumn[]; readonly ranges: readonly { rowStart: number; rowEnd: number }[] }
  | { readonly values: readonly (string | null | { readonly type: string })[] }
  | { readonly failure: string };
export interface ParquetColumn {
  readonly name: string;
  readonly type: string;
  /** The uncompressed size of the column in its largest row group. */
  readonly group_bytes: number;
}

const { path, text_field } = workerData as { path: string; text_field: string };
const scan = asyncBufferFromFile(path).then((file) => parquetScan({ file, compressors }));
scan.catch(() => {}); // reported with the answer to the first request

async function open(): Promise<ParquetReply> {
  const { metadata, ranges } = await scan;
  const columns = new Map<string, ParquetColumn>();
  for (const { meta_data } of metadata.row_groups.flatMap((group) => group.columns)) {
    if (!meta_data) continue;
    const name = meta_data.path_in_schema.join('.');
    const group_bytes = Math.max(columns.get(name)?.group_bytes ?? 0, Number(meta_data.total_uncompressed_size));
    columns.set(name, { name, type: meta_data.type, group_bytes });
  }
  return { columns: [...columns.values()], ranges };
}

async function read(rowStart: number, rowEnd: number): Promise<ParquetReply> {
  const { readColumn } = await scan;
  const values = Array.from((await readColumn({ column: text_field, rowStart, rowEnd })) as ArrayLike<unknown>);
  return {
    values: values.map((value) => (typeof value === 'string' ? value : value == null ? null : { type: typeof value })),
  };
}

parentPort?.on('message', async (request: ParquetRequest) => {
  let reply: ParquetReply;
  try {
    reply = request === null ? await open() : await read(request.rowStart, request.rowEnd);
  } catch (error) {
    reply = { failure: error instanceof Error ? error.message : String(error) };
  }
  parentPort?.postMessage(reply);
});
