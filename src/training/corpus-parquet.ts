// Parquet files as Hugging Face stores datasets: one text column, read a row group at a time (https://parquet.apache.org/docs/file-format).
import { asyncBufferFromFile, parquetScan } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { DataError } from './corpus-errors.ts';

/** The text of one row group is in memory at once. Hugging Face writes groups of 1000 rows, a few megabytes. */
const LIMIT_GROUP_BYTES = 512 * 2 ** 20;

const asSentence = (error: unknown) => (error instanceof Error ? error.message : String(error));

async function openScan(path: string, text_field: string) {
  const file = await asyncBufferFromFile(path);
  try {
    return await parquetScan({ file, compressors, columns: [text_field] });
  } catch (error) {
    throw new DataError('bad-record', `${path}: not a readable Parquet file (${asSentence(error)})`, { path });
  }
}

/** The texts of one column, row by row; nulls are left out. Throws DataError `bad-record` or `too-large`. */
export async function* readParquet(path: string, text_field: string): AsyncGenerator<string> {
  const scan = await openScan(path, text_field);
  const columns = new Map(
    scan.metadata.row_groups
      .flatMap((group) => group.columns)
      .flatMap(({ meta_data }) => (meta_data ? [[meta_data.path_in_schema.join('.'), meta_data] as const] : [])),
  );
  if (scan.metadata.row_groups.length > 0 && columns.get(text_field)?.type !== 'BYTE_ARRAY') {
    const names = [...columns.keys()].slice(0, 16).join(', ');
    throw new DataError('bad-record', `${path}: no text column "${text_field}" (its columns: ${names})`, { path });
  }
  for (const { columns } of scan.metadata.row_groups) {
    const chunk = columns.find(({ meta_data }) => meta_data?.path_in_schema.join('.') === text_field)?.meta_data;
    const size_bytes = Number(chunk?.total_uncompressed_size ?? 0);
    if (size_bytes > LIMIT_GROUP_BYTES) {
      const fact = `a row group holds ${size_bytes} bytes of text, at most ${LIMIT_GROUP_BYTES} are read at once`;
      throw new DataError('too-large', `${path}: ${fact}`, { path });
    }
  }
  for (const { rowStart, rowEnd } of scan.ranges) {
    let values: ArrayLike<unknown>;
    try {
      values = await scan.readColumn({ column: text_field, rowStart, rowEnd });
    } catch (error) {
      const fact = `rows ${rowStart} to ${rowEnd - 1} are damaged (${asSentence(error)})`;
      throw new DataError('bad-record', `${path}: ${fact}`, { path, row: rowStart });
    }
    for (let i = 0; i < values.length; i++) {
      const text = values[i];
      if (text === null || text === undefined) continue;
      if (typeof text !== 'string') {
        const fact = `row ${rowStart + i} holds ${typeof text} in "${text_field}", expected text`;
        throw new DataError('bad-record', `${path}: ${fact}`, { path, row: rowStart + i });
      }
      yield text;
    }
  }
}
