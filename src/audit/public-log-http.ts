// Reads a public log over HTTP, as C2SP tlog-tiles (c2sp.org/tlog-tiles) serves it: a checkpoint, bundles of entries, tiles; and blobs by hash.
import { LedgerError } from '../ledger/errors.ts';
import { MAX_ENTRY_BYTES } from '../ledger/log-store.ts';
import { HASH_BYTES } from '../ledger/merkle.ts';
import { MAX_NOTE_BYTES } from '../ledger/signed-note.ts';
import { decodeEntryBundle, encodeEntryBundle, entriesPath, TILE_WIDTH, tilePath } from '../ledger/tiles.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { type Asking, type Line, openLine } from '../protocol/line.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { allPages, statusPath } from '../protocol/status-pages.ts';
import {
  AuditFailure,
  type LogPage,
  openHead,
  type PublicBlobs,
  type PublicLog,
  PublicLogError,
} from './public-log.ts';

const MAX_BUNDLE_BYTES = TILE_WIDTH * (2 + MAX_ENTRY_BYTES);

const LIMITS = {
  bundles_ahead: 4, // bundles requested at once: hides the network's latency and holds little memory
  status_bytes: 16 << 20, // of one page, many times what one has
} as const;

/** Reads a file of a log, by its path below the log's address; null where there is none. Throws PublicLogError. */
export type GetFile = (path: string, max_bytes: number) => Promise<Uint8Array | null>;

/** A log that is read from wherever its reader has stopped. */
export interface HubLog extends PublicLog {
  /** As `pages`, from the page on that holds entry `from`. */
  pagesFrom(from: number): AsyncIterable<LogPage>;
}

/** Opens the log that a hub serves at its address; closing `line` ends requests under way. Throws PublicLogError, AuditFailure `bad-checkpoint`. */
export async function openHubLog(where: string, expected?: string, line = openLine()): Promise<HubLog> {
  const url = where.replace(/\/+$/, '');
  const get: GetFile = (path, max_bytes) => getBytes(line, `${url}/${path}`, max_bytes);
  const files = await openFiles(url, get, expected);
  return {
    where: url,
    ...files,
    pagesFrom: (from) => pages(get, files.size, from - (from % TILE_WIDTH)),
    ...hubBlobs(url),
    async status() {
      try {
        const pages = await allPages(async (from) =>
          statusIn(await get(statusPath(from).slice(1), LIMITS.status_bytes)),
        );
        return { runs: pages.flatMap(({ runs }) => runs) };
      } catch (error) {
        // Something else than a hub answers there.
        if (error instanceof SyntaxError || (error instanceof PublicLogError && error.code === 'not-a-log'))
          return null;
        throw error;
      }
    },
    close() {},
  };
}

/** A log's head, entries and tiles, as files. Throws PublicLogError, AuditFailure `bad-checkpoint`. */
export async function openFiles(
  where: string,
  get: GetFile,
  expected: string | undefined,
): Promise<Pick<PublicLog, 'hub' | 'head' | 'size' | 'cosigned' | 'pages' | 'tile'>> {
  const cosigned = await get('log/cosigned', MAX_NOTE_BYTES);
  const note = await get('log/checkpoint', MAX_NOTE_BYTES);
  if (!note) throw new PublicLogError('not-a-log', `no public log at ${where}: it has no log/checkpoint`, { where });
  const { hub, head } = openHead(new TextDecoder().decode(note), expected);
  return {
    hub,
    head,
    size: head.size,
    cosigned: cosigned && new TextDecoder().decode(cosigned),
    pages: () => pages(get, head.size),
    async tile(level, index, width) {
      const tile = await get(`log/${tilePath(level, index, width)}`, width * HASH_BYTES + 1);
      if (tile || width === TILE_WIDTH) return tile;
      const full = await get(`log/${tilePath(level, index)}`, TILE_WIDTH * HASH_BYTES);
      return full ? full.subarray(0, width * HASH_BYTES) : null;
    },
  };
}

/** The blobs that a hub serves. */
export function hubBlobs(url: string): PublicBlobs {
  return {
    async blob(hash) {
      const bytes = await getBytes(openLine(), `${url}/blobs/${hash}`, WIRE_LIMITS.blob_bytes, true);
      if (!bytes) return null;
      const found = sha256Hex(bytes);
      if (found === hash) return bytes;
      throw new AuditFailure('corrupt-blob', `the bytes that are served as blob ${hash} have the hash ${found}`, {
        blob: hash,
        found,
      });
    },
  };
}

/** A page of a status, which whoever compares it with the log reads closely. Throws SyntaxError. */
function statusIn(bytes: Uint8Array | null): { readonly runs: readonly unknown[]; readonly next: number | null } {
  const page: unknown = bytes && JSON.parse(new TextDecoder().decode(bytes));
  const { runs, next } = (page ?? {}) as { readonly runs?: unknown; readonly next?: unknown };
  return { runs: Array.isArray(runs) ? runs : [], next: typeof next === 'number' ? next : null };
}

async function* pages(get: GetFile, size: number, from = 0): AsyncGenerator<LogPage> {
  const load = async (first: number): Promise<LogPage> => {
    const count = Math.min(TILE_WIDTH, size - first);
    const path = entriesPath(first / TILE_WIDTH, count);
    const bundle = await get(`log/${path}`, count * (2 + MAX_ENTRY_BYTES));
    if (bundle) return { first, count, bundle };
    // Whoever serves files may delete a partial one when there is a full one, which begins with the same entries.
    const full = count < TILE_WIDTH && (await get(`log/${entriesPath(first / TILE_WIDTH)}`, MAX_BUNDLE_BYTES));
    if (full) return { first, count, bundle: beginningOf(full, count) };
    throw new AuditFailure('bad-bundle', `the checkpoint has ${size} entries, but ${path} is not served`, {
      index: first,
    });
  };
  const under_way: Promise<LogPage>[] = [];
  for (let first = from; first < size || under_way.length > 0; first += TILE_WIDTH) {
    if (first < size) {
      const page = load(first);
      page.catch(() => {}); // reported when its turn comes
      under_way.push(page);
      if (under_way.length < LIMITS.bundles_ahead && first + TILE_WIDTH < size) continue;
    }
    yield await under_way.shift()!;
  }
}

/** The first entries of a full bundle; one of the wrong form is left as it is, for its reader to complain about. */
function beginningOf(bundle: Uint8Array, count: number): Uint8Array {
  try {
    return encodeEntryBundle(decodeEntryBundle(bundle, TILE_WIDTH).slice(0, count));
  } catch (error) {
    if (error instanceof LedgerError) return bundle;
    throw error;
  }
}

/** What a bucket answers that does not list its objects to everybody, for one that it does not have. */
const HIDDEN = 403;

/** The bytes at an address; null where there are none. Tries again while the hub is unreachable. Throws PublicLogError. */
export async function getBytes(
  line: Pick<Line, 'ask'>,
  url: string,
  max_bytes: number,
  immutable = false,
): Promise<Uint8Array | null> {
  try {
    const { status, type, bytes } = await line.ask({ url, max_bytes, immutable } satisfies Asking);
    if (status >= 200 && status < 300) {
      if (!/^text\/html\b/i.test(type)) return bytes;
      // Some servers answer their front page for whatever they do not have.
      throw new PublicLogError('not-a-log', `expected a file of a hub's log at ${url}, got a web page`, { url });
    }
    if (status === 404 || status === HIDDEN) return null;
    const code = status < 500 ? 'not-a-log' : 'unreachable';
    throw new PublicLogError(code, `expected a hub's log at ${url}: it answered ${status}`, { url });
  } catch (error) {
    if (!(error instanceof PeerError)) throw error;
    const code = error.code === 'hub-unreachable' ? 'unreachable' : 'too-large';
    throw new PublicLogError(code, `${url} could not be read: ${error.message}`, { url });
  }
}
