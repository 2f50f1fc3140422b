// A witness as a service for logs (c2sp.org/tlog-witness, section "add-checkpoint"): it cosigns each checkpoint that continues the last one.
import { createServer, type IncomingMessage, type Server } from 'node:http';
import {
  judgeCheckpoint,
  MAX_REQUEST_BYTES,
  parseAddCheckpoint,
  type Refusal,
  SIZE_TYPE,
} from '../ledger/add-checkpoint.ts';
import { cosignCheckpoint } from '../ledger/checkpoint.ts';
import { LedgerError } from '../ledger/errors.ts';
import { originOf, witnessName } from '../ledger/key-names.ts';
import type { NoteKey } from '../ledger/signed-note.ts';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import type { Identity } from '../protocol/identity.ts';
import { writeWhole } from '../protocol/whole-file.ts';
import { readKept, witnessFile } from './witness.ts';

/** A checkpoint comes in one packet, so a slow request is ended and blocks nobody. */
const REQUEST_MS = 10_000;

export interface WitnessServerOptions {
  readonly witness: Identity;
  /** The folder with the latest checkpoint of each log. */
  readonly folder: string;
  /** The logs that may ask, by origin and key. */
  readonly logs: () => readonly NoteKey[];
  /** Runs tasks one after the other: reading the latest checkpoint and storing the next one must not overlap. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
  readonly now_s: () => number;
  readonly onCosigned: (origin: string, size: number) => void;
  readonly onError: (error: unknown) => void;
}

/** The file with the latest checkpoint of a log. For a hub's log it is also the file used when this witness polls that hub. */
function fileOf(folder: string, log: NoteKey): string {
  const hub = originOf(log.id) === log.name;
  return witnessFile(folder, hub ? log.id : sha256Hex(utf8(`${log.name}\n${log.id}`)));
}

/** Decides one request, stores what it cosigns, and resolves to the signature lines. Throws LedgerError `malformed`. */
export async function answerAddCheckpoint(
  text: string,
  options: Omit<WitnessServerOptions, 'onError'>,
): Promise<string | Refusal> {
  const { witness, folder, logs, inTurn, now_s } = options;
  const request = parseAddCheckpoint(text);
  return inTurn(async () => {
    const judged = await judgeCheckpoint(request, logs(), (log) => readKept(fileOf(folder, log), log));
    if ('status' in judged) return judged;
    const cosigned = await cosignCheckpoint(witness, witnessName(witness.id), request.note, now_s());
    await writeWhole(fileOf(folder, judged.log), cosigned, { durable: true });
    options.onCosigned(judged.log.name, judged.checkpoint.size);
    return cosigned.slice(request.note.length);
  });
}

/** The server, not yet listening. */
export function witnessServer(options: WitnessServerOptions): Server {
  return createServer({ requestTimeout: REQUEST_MS }, async (request, response) => {
    const answer = (status: number, type: string, body: string): void => {
      response.writeHead(status, { 'content-type': `${type}; charset=utf-8` }).end(body);
    };
    try {
      const isAsked = request.method === 'POST' && request.url?.split('?')[0].endsWith('/add-checkpoint');
      if (!isAsked) return answer(404, 'text/plain', 'expected POST …/add-checkpoint (c2sp.org/tlog-witness)\n');
      const text = await bodyOf(request);
      if (text === null) return answer(413, 'text/plain', `at most ${MAX_REQUEST_BYTES} bytes\n`);
      const found = await answerAddCheckpoint(text, options);
      if (typeof found === 'string') return answer(200, 'text/plain', found);
      const { status, size, message } = found;
      if (size === null) return answer(status, 'text/plain', `${message}\n`);
      response.writeHead(status, { 'content-type': SIZE_TYPE }).end(`${size}\n`);
    } catch (error) {
      if (error instanceof LedgerError && error.code === 'malformed') {
        return answer(400, 'text/plain', `${error.message}\n`);
      }
      options.onError(error);
      answer(500, 'text/plain', 'this witness failed at the request\n');
    }
  });
}

async function bodyOf(request: IncomingMessage): Promise<string | null> {
  const parts: Buffer[] = [];
  let size_bytes = 0;
  for await (const part of request) {
    size_bytes += (part as Buffer).length;
    if (size_bytes > MAX_REQUEST_BYTES) return null;
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString('utf8');
}
