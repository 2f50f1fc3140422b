// The worker thread that decodes Parquet files, because a damaged file can keep the decoder busy for hours or fill the memory.
import { parentPort, workerData } from 'node:worker_threads';
import { asyncBufferFromFile, parquetMetadataAsync, parquetScan, parquetSchema } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { type Found, textOf, USUAL_FIELDS } from './corpus-record.ts';

/** The thread answers each request with one reply, in order. The first request opens the file and has no range. */
export type ParquetRequest = { readonly rowStart: number; readonly rowEnd: number } | null;
export type ParquetReply =
  | { readonly columns: readonly ParquetColumn[]; readonly ranges: readonly { rowStart: number; rowEnd: number }[] }
  | { readonly values: readonly Found[] }
  | { readonly failure: string };
export interface ParquetColumn {
  /** The path to a value in a record, without the layers that Parquet puts around the elements of a list. */
  readonly name: string;
  /** The same path with those layers, as other tools print it. */
  readonly stored_name: string;
  readonly type: string;
  /** Whether paths continue inside a value, with names that the schema does not contain: a map, or a column of JSON. */
  readonly open: boolean;
  /** The uncompressed size of its whole column in its largest row group. */
  readonly group_bytes: number;
}

type Tree = ReturnType<typeof parquetSchema>;

const { path, text_field } = workerData as { path: string; text_field: string | undefined };
const scan = openScan();
scan.catch(() => {}); // the answer to the first request reports it

async function openScan() {
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file);
  // Newer writers may mark a list by its logical type alone, but the decoder looks at the older converted type.
  for (const element of metadata.schema) {
    const logical = element.logical_type?.type;
    if (!element.converted_type && (logical === 'LIST' || logical === 'MAP')) element.converted_type = logical;
  }
  return { ...(await parquetScan({ file, metadata, compressors })), tree: parquetSchema(metadata) };
}

/** The path of a list's element without the two layers around it (parquet-format, LogicalTypes, "Lists"). */
function elementOf({ element, children }: Tree): Tree | null {
  const [repeated] = children;
  const is_list = element.converted_type === 'LIST' && children.length === 1;
  if (!is_list || repeated.element.repetition_type !== 'REPEATED') return null;
  return repeated.children.length === 1 ? repeated.children[0] : repeated;
}

/** The values that a column contains, by the names of a record. */
function* leavesOf(tree: Tree, name: string): Generator<{ name: string; tree: Tree; open?: boolean }> {
  const element = elementOf(tree);
  const { converted_type } = tree.element;
  if (element) yield* leavesOf(element, name);
  else if (converted_type === 'JSON') yield { name, tree, open: true };
  else if (converted_type === 'MAP' && tree.children[0]?.children.length === 2) {
    yield { name, tree: tree.children[0].children[1], open: true };
  } else if (tree.children.length === 0) yield { name, tree };
  else for (const child of tree.children) yield* leavesOf(child, `${name}.${child.element.name}`);
}

/** Every value of the file, with its path in a record and its path as stored. */
const leaves = ({ children }: Tree) => children.flatMap((top) => [...leavesOf(top, top.element.name)]);

async function open(): Promise<ParquetReply> {
  const { metadata, ranges, tree } = await scan;
  const group_bytes = new Map<string, number>();
  for (const group of metadata.row_groups) {
    const sums = new Map<string, number>();
    for (const { meta_data } of group.columns) {
      if (!meta_data) continue;
      const [top] = meta_data.path_in_schema;
      sums.set(top, (sums.get(top) ?? 0) + Number(meta_data.total_uncompressed_size));
    }
    for (const [top, bytes] of sums) group_bytes.set(top, Math.max(group_bytes.get(top) ?? 0, bytes));
  }
  const columns = leaves(tree).map(({ name, tree: leaf, open = false }) => ({
    ...{ name, open },
    stored_name: leaf.path.join('.'),
    type: leaf.element.type ?? '',
    group_bytes: group_bytes.get(leaf.path[0]) ?? 0,
  }));
  return { columns, ranges };
}

async function read(rowStart: number, rowEnd: number): Promise<ParquetReply> {
  const { readColumn, tree } = await scan;
  const stored = leaves(tree).find(({ tree: leaf }) => leaf.path.join('.') === text_field);
  const field = stored?.name ?? text_field;
  const names = tree.children.map(({ element }) => element.name);
  const wanted = field ?? USUAL_FIELDS.find((usual) => names.includes(usual)) ?? '';
  const columns = names.filter((name) => name === wanted || wanted.startsWith(`${name}.`));
  const values = await Promise.all(
    columns.map(async (column) => Array.from((await readColumn({ column, rowStart, rowEnd })) as ArrayLike<unknown>)),
  );
  const record = (row: number) => Object.fromEntries(columns.map((name, i) => [name, values[i][row] ?? null]));
  return { values: Array.from({ length: rowEnd - rowStart }, (_, row) => textOf(record(row), field)) };
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
