// `potluck witness URL`: watch a hub's log grow, and catch it when it does anything else.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { CodedError } from '../errors.ts';
import { openPublicLog } from '../peer/public-log-open.ts';
import { Misbehaviour, sendCosignature, witnessFile, witnessName, witnessOnce } from '../peer/witness.ts';
import type { Identity } from '../protocol/identity.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import { homeFolder, tryLock } from './folders.ts';
import { untilStopped } from './lifetime.ts';
import { decimal, fullId, hubUrl, jsonOption } from './options.ts';
import { CliError, type Output, openOutput } from './output.ts';

interface WitnessFlags {
  every: number;
  once: boolean;
  folder?: string;
  hubId?: string;
  json: boolean;
}

export function witnessCommand(): Command {
  return new Command('witness')
    .argument('<url>', 'the address of the hub', hubUrl)
    .option('--every <s>', 'seconds between two looks', decimal(0.1, 86_400), 60)
    .option('--once', 'look once, then end', false)
    .option('--folder <dir>', 'where the key and the last heads are kept (default: under ~/.potluck/witness)')
    .option('--hub-id <id>', 'the id that the hub must have (default: the one that its checkpoint names)', fullId)
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
      const witness = await loadOrCreateIdentity(join(folder, 'witness.key'));
      for (;;) {
        try {
          await look(url, witness, folder, flags.hubId, output);
        } catch (error) {
          if (error instanceof Misbehaviour) {
            convict(error, folder, output);
            throw error;
          }
          if (flags.once || !(error instanceof CodedError)) throw error;
          output.say(`could not look: ${error.message}`, { type: 'problem', code: error.code, message: error.message });
        }
        if (flags.once || stopped.aborted) return;
        await sleep(flags.every * 1000, undefined, { signal: stopped }).catch(() => {});
        if (stopped.aborted) return;
      }
    });
}

async function look(
  url: string,
  witness: Identity,
  folder: string,
  hubId: string | undefined,
  output: Output,
): Promise<void> {
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
}

/** Shows the proof and keeps it: nobody else may have seen what this witness saw. */
function convict({ message, proof }: Misbehaviour, folder: string, output: Output): void {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `misbehaviour-${proof.hub.slice(0, 16)}-${Date.now()}.json`);
  writeFileSync(file, `${JSON.stringify({ message, ...proof }, null, 2)}\n`);
  output.say(
    `The hub ${proof.hub} has contradicted itself: ${message}.\n\nSigned before:\n${proof.before}\nSigned now:\n${proof.now}\nThe proof is in ${file}.`,
    { type: 'misbehaviour', message, file, ...proof },
  );
}
