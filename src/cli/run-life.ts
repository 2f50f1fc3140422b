// `potluck run pause`, `resume` and `end`: what a run's owner can do while it goes on.
import { Command } from 'commander';
import { type OwnersWordSaid, sayOfRun } from '../owner/run-life.ts';
import { loadIdentity } from '../protocol/identity-file.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { ownerKeyFile } from './folders.ts';
import { A_RUN, DEFAULT_HUB, hubUrl, jsonOption, runHandles, runOwnerOption } from './options.ts';
import { openOutput } from './output.ts';

interface LifeFlags {
  hub: string;
  owner?: string;
  drop?: boolean;
  json: boolean;
}

interface Word {
  readonly event: 'run.paused' | 'run.resumed' | 'run.ended';
  /** For programs: what has happened. */
  readonly done: 'paused' | 'resumed' | 'ended';
  readonly description: string;
  readonly explanation: string;
  /** What it means, as one line. */
  readonly says: (said: OwnersWordSaid) => string;
}

export function pauseCommand(): Command {
  return lifeCommand('pause', {
    ...{ event: 'run.paused', done: 'paused', description: 'let nobody work on your run until you resume it' },
    explanation: `The open round ends now: what is handed in, and what devices hand in within a few seconds, is judged, merged and paid first.
With --drop it is dropped at once, unpaid. What was merged stays. Devices wait, and go on when you resume the run.`,
    says: ({ merged_rounds, rounds, merges_first }) =>
      merges_first === null
        ? `is paused after ${merged_rounds} of ${rounds} rounds: its devices wait`
        : `is paused as soon as round ${merges_first} is merged: what is handed in is judged and paid first, then its devices wait`,
  });
}

export function resumeCommand(): Command {
  return lifeCommand('resume', {
    ...{ event: 'run.resumed', done: 'resumed', description: 'let your paused run go on' },
    explanation: `The next round, or one that was dropped, is opened as soon as a worker is there. A run that the hub has paused because its loss
stays far above its best goes on too; it is paused again if that goes on.`,
    says: ({ merged_rounds, rounds }) => `goes on after ${merged_rounds} of ${rounds} rounds`,
  });
}

export function endCommand(): Command {
  return lifeCommand('end', {
    ...{ event: 'run.ended', done: 'ended', description: 'finish your run before its rounds are over, for good' },
    explanation: `The open round ends now: what is handed in, and what devices hand in within a few seconds, is judged, merged and paid first.
With --drop it is dropped at once, unpaid; that also ends a run whose merge fails. What was merged stays: the model can be exported and
played with, everybody keeps what they have earned, nothing of it is withheld any more, and rounds that are never merged promise
nothing. This cannot be undone.`,
    says: ({ merged_rounds, rounds, merges_first }) =>
      merges_first === null
        ? `has ended after ${merged_rounds} of ${rounds} rounds, for good`
        : `ends for good as soon as round ${merges_first} is merged: what is handed in is judged and paid first`,
  });
}

function lifeCommand(verb: 'pause' | 'resume' | 'end', word: Word): Command {
  const command = new Command(verb)
    .description(word.description)
    .argument('<run...>', A_RUN, runHandles)
    .option('--hub <url>', 'the address of the hub', hubUrl, DEFAULT_HUB)
    .addOption(runOwnerOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
${word.explanation}

Examples:
  $ potluck run ${verb} 3fa9c1 "my other run"
  $ potluck run ${verb} 3fa9c1 --hub http://hub.example:7700`,
    )
    .action(async (wanted: readonly string[], flags: LifeFlags) => {
      const owner = await loadIdentity(flags.owner ?? ownerKeyFile());
      for (const one of wanted) {
        const said = await sayOfRun(flags.hub, owner, one, word.event, flags.drop);
        const { run, name, event } = said;
        openOutput(flags.json).say(`Run ${run.slice(0, 12)} (${nameOf(name)}) ${word.says(said)}: event ${event}`, {
          type: word.done,
          ...said,
        });
      }
    });
  // A resumed run has no open round whose work could be dropped.
  if (verb === 'resume') return command;
  return command.option('--drop', 'drop the work of the open round instead of merging it first');
}
