// Reads a public log over HTTP, as C2SP tlog-tiles (c2sp.org/tlog-tiles) serves it: a checkpoint, bundles of entries, tiles; and blobs by hash.
import { MAX_ENTRY_BYTES } from '../ledger/log-store.ts';
import { MAX_NOTE_BYTES } from '../ledger/signed-note.ts';
import { entriesPath, TILE_WIDTH, tilePath } from '../ledger/tiles.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { type Asking, type Line, openLine } from '../protocol/line.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import {
  AuditFailure,
  type LogPage,
  openHead,
  type PublicBlobs,
  type PublicLog,
  PublicLogError,
} from './public-log.ts';

const LIMITS = {
  bundles_ahead: 4, // bundles requested at once: hides the network's latency and holds little memory
  status_bytes: 64 << 20, // twenty thousand peers with their names and progress
} as const;

/** Reads a file of the hub. */
type Get = (path: string, max_bytes: number) => Promise<Uint8Array | null>;

/** Opens the log that a hub serves at its address; closing `line` ends requests under way. Throws PublicLogError, AuditFailure `bad-checkpoint`. */
export async function openHubLog(where: string, expected?: string, line = openLine()): Promise<PublicLog> {
  const url = where.replace(/\/+$/, '');
  const get: Get = (path, max_bytes) => getBytes(line, `${url}/${path}`, max_bytes);
  const cosigned = await get('log/cosigned', MAX_NOTE_BYTES);
  const note = await get('log/checkpoint', MAX_NOTE_BYTES);
  if (!note) throw new PublicLogError('not-a-log', `no public log at ${url}: it has no /log/checkpoint`, { url });
  const { hub, head } = openHead(new TextDecoder().decode(note), expected);
  return {
    where: url,
    hub,
    head,
    size: head.size,
    cosigned: cosigned && new TextDecoder().decode(cosigned),
    pages: () => pages(get, head.size),
    tile: (level, index, width) => get(`log/${tilePath(level, index, width)}`, width * 32 + 1),
    ...hubBlobs(url),
    async status() {
      const bytes = await get('status', LIMITS.status_bytes);
      try {
        return bytes && JSON.parse(new TextDecoder().decode(bytes));
      } catch {
        return null;
      }
    },
    close() {},
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

async function* pages(get: Get, size: number): AsyncGenerator<LogPage> {
  const load = async (first: number): Promise<LogPage> => {
    const count = Math.min(TILE_WIDTH, size - first);
    const path = entriesPath(first / TILE_WIDTH, count);
    const bundle = await get(`log/${path}`, count * (2 + MAX_ENTRY_BYTES));
    if (bundle) return { first, count, bundle };
    throw new AuditFailure('bad-bundle', `the checkpoint has ${size} entries, but ${path} is not served`, {
      index: first,
    });
  };
  const under_way: Promise<LogPage>[] = [];
  for (let first = 0; first < size || under_way.length > 0; first += TILE_WIDTH) {
    if (first < size) {
      const page = load(first);
      page.catch(() => {}); // reported when its turn comes
      under_way.push(page);
      if (under_way.length < LIMITS.bundles_ahead && first + TILE_WIDTH < size) continue;
    }
    yield await under_way.shift()!;
  }
}

/** The bytes at an address; null for 404. Tries again while the hub is unreachable. Throws PublicLogError. */
async function getBytes(
  line: Pick<Line, 'ask'>,
  url: string,
  max_bytes: number,
  immutable = false,
): Promise<Uint8Array | null> {
  try {
    const { status, bytes } = await line.ask({ url, max_bytes, immutable } satisfies Asking);
    if (status >= 200 && status < 300) return bytes;
    if (status === 404) return null;
    const code = status < 500 ? 'not-a-log' : 'unreachable';
    throw new PublicLogError(code, `expected a hub's log at ${url}: it answered ${status}`, { url });
  } catch (error) {
    if (!(error instanceof PeerError)) throw error;
    const code = error.code === 'hub-unreachable' ? 'unreachable' : 'too-large';
    throw new PublicLogError(code, `${url} could not be read: ${error.message}`, { url });
  }
}
