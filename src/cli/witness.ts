// `potluck witness URL`: watches a hub's log grow, and reports it if it does anything else.
import { mkdirSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, InvalidArgumentError } from 'commander';
import { openPublicLog } from '#public-log-open';
import { Misbehaviour } from '../audit/continuation.ts';
import { sendCosignature, witnessFile, witnessOnce } from '../audit/witness.ts';
import { type WitnessServerOptions, witnessServer } from '../audit/witness-server.ts';
import { CodedError } from '../errors.ts';
import { listen } from '../hub/sockets.ts';
import { originOf, witnessName } from '../ledger/key-names.ts';
import {
  NOTE_COSIGNATURE_V1,
  NOTE_ED25519,
  type NoteKey,
  parseVerifierKey,
  verifierKey,
} from '../ledger/signed-note.ts';
import type { Identity } from '../protocol/identity.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import { homeFolder, tryLock } from './folders.ts';
import { untilStopped } from './lifetime.ts';
import { decimal, fullId, integer, jsonOption } from './options.ts';
import { CliError, type Output, openOutput } from './output.ts';
import { hubOrRun } from './run-links.ts';

interface WitnessFlags {
  every: number;
  once: boolean;
  folder?: string;
  hubId?: string;
  listen?: number;
  host: string;
  log: NoteKey[];
  json: boolean;
}

export function witnessCommand(): Command {
  return new Command('witness')
    .argument('<url>', 'the address of the hub, or of a run there', hubOrRun)
    .option('--every <s>', 'seconds between two looks', decimal(0.1, 86_400), 60)
    .option('--once', 'look once, then end', false)
    .option('--folder <dir>', 'where the key and the last heads are kept (default: under ~/.potluck/witness)')
    .option('--hub-id <id>', 'the id that the hub must have (default: the one that its checkpoint names)', fullId)
    .option(
      '--listen <port>',
      'answer logs that ask for cosignatures (C2SP tlog-witness) on this port',
      integer(0, 65_535),
    )
    .option('--host <address>', 'address to listen on; 0.0.0.0 lets other machines ask', '127.0.0.1')
    .option(
      '--log <key>',
      'NAME+HASH+KEY of another log that may ask; may be given again',
      (text: string, before: NoteKey[]) => [...before, logKeyOf(text)],
      [],
    )
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck witness http://hub.example:7700
  $ potluck witness http://hub.example:7700 --once        from a timer of your own

It ends with 1 when the log is not a continuation of what this witness has seen, and prints both heads that the hub has signed.`,
    )
    .action(async (url: string, flags: WitnessFlags) => {
      const output = openOutput(flags.json);
      const stopped = untilStopped();
      const folder = flags.folder ?? join(homeFolder(), 'witness');
      const lock = tryLock(folder);
      if (!lock) throw new CliError('in-use', `another witness works in ${folder}; give this one its own --folder`);
      try {
        await follow(url, folder, flags, stopped, output);
      } finally {
        lock.release();
      }
    });
}

/** Checks a hub's log until it is told to stop; only once with --once. Throws Misbehaviour. */
async function follow(
  url: string,
  folder: string,
  flags: WitnessFlags,
  stopped: AbortSignal,
  output: Output,
): Promise<void> {
  const witness = await loadOrCreateIdentity(join(folder, 'witness.key'));
  const inTurn = oneAfterTheOther();
  const logs = [...flags.log];
  const asked = { witness, folder, inTurn, logs: () => logs };
  const server = flags.listen === undefined ? null : await letLogsAsk(flags.listen, flags.host, asked, output);
  stopped.addEventListener('abort', () => server?.close());
  for (;;) {
    try {
      const hub = await inTurn(() => look(url, witness, folder, flags.hubId, output));
      const name = originOf(hub);
      if (!logs.some((log) => log.name === name)) logs.push({ name, id: hub });
    } catch (error) {
      if (error instanceof Misbehaviour) {
        server?.close();
        convict(error, folder, output);
        throw error;
      }
      if (flags.once || !(error instanceof CodedError)) throw error;
      output.say(`could not look: ${error.message}`, { type: 'problem', code: error.code, message: error.message });
    }
    if (flags.once || stopped.aborted) return;
    await sleep(flags.every * 1000, undefined, { signal: stopped }).catch(() => {}); // it rejects when it is stopped
    if (stopped.aborted) return;
  }
}

async function look(
  url: string,
  witness: Identity,
  folder: string,
  hubId: string | undefined,
  output: Output,
): Promise<string> {
  const log = await openPublicLog(url, hubId);
  const { note, size, before } = await witnessOnce(log, witness, folder, Math.floor(Date.now() / 1000));
  const taken = await sendCosignature(url, note);
  const growth = before === null ? 'seen for the first time' : `a continuation of the ${before} seen before`;
  output.say(
    `${new Date().toISOString()}  ${size} entries, ${growth}; cosigned${taken ? '' : ', but the hub did not take the cosignature'}`,
    {
      ...{ type: 'cosigned', hub: log.hub, size, before, sent: taken, name: witnessName(witness.id) },
      ...{ file: witnessFile(folder, log.hub), note },
    },
  );
  return log.hub;
}

/** Runs tasks one after the other. */
function oneAfterTheOther(): WitnessServerOptions['inTurn'] {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const done = last.then(work);
    last = done.catch(() => {}); // whoever asked for it hears
    return done;
  };
}

/** Lets logs ask this witness; resolves when they can. */
async function letLogsAsk(
  port: number,
  host: string,
  options: Pick<WitnessServerOptions, 'witness' | 'folder' | 'inTurn' | 'logs'>,
  output: Output,
): Promise<Server> {
  const server = witnessServer({
    ...options,
    now_s: () => Math.floor(Date.now() / 1000),
    onCosigned: (origin, size) =>
      output.say(`${new Date().toISOString()}  ${origin} asked: ${size} entries, cosigned`, {
        ...{ type: 'asked', origin, size },
      }),
    onError: (error) => {
      const message = error instanceof Error ? error.message : String(error);
      output.say(`could not answer a log: ${message}`, { type: 'problem', message });
    },
  });
  const url = await listen(server, host, port, '--listen');
  const { id } = options.witness;
  const verifier_key = verifierKey({ name: witnessName(id), id }, NOTE_COSIGNATURE_V1);
  output.say(`Logs may ask for cosignatures; a hub does so with:  potluck hub --witness "${verifier_key} ${url}"`, {
    ...{ type: 'witness_listening', url, verifier_key },
  });
  return server;
}

/** A log's key on the command line, or one clear line. */
function logKeyOf(text: string): NoteKey {
  try {
    const { key, type } = parseVerifierKey(text);
    if (type === NOTE_ED25519) return key;
  } catch {
    // Reported below.
  }
  throw new InvalidArgumentError('expected the key of a log: NAME+HASH+KEY, as a hub serves it at /log/key.');
}

/** Shows the proof and stores it, because nobody else may have seen what this witness saw. */
function convict({ message, proof }: Misbehaviour, folder: string, output: Output): void {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `misbehaviour-${proof.hub.slice(0, 16)}-${Date.now()}.json`);
  writeFileSync(file, `${JSON.stringify({ message, ...proof }, null, 2)}\n`);
  output.say(
    `The hub ${proof.hub} has contradicted itself: ${message}.\n\nSigned before:\n${proof.before}\nSigned now:\n${proof.now}\nThe proof is in ${file}.`,
    { type: 'misbehaviour', message, file, ...proof },
  );
}
