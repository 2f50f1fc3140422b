// `potluck run move`: a run goes to another hub, with all that its peers have earned in it.
import { join } from 'node:path';
import { Command } from 'commander';
import { type MoveStep, moveRun } from '../owner/move-run.ts';
import { loadIdentity } from '../protocol/identity-file.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { potluckHere } from './called-as.ts';
import { homeFolder, ownerKeyFile } from './folders.ts';
import { A_RUN, DEFAULT_HUB, hubUrl, jsonOption, runHandle, runOwnerOption } from './options.ts';
import { formatBytes, openOutput } from './output.ts';

interface MoveFlags {
  hub: string;
  to: string;
  owner?: string;
  stayPaused: boolean;
  json: boolean;
}

export function moveCommand(): Command {
  return new Command('move')
    .description('let your run go on in the log of another hub')
    .argument('<run>', A_RUN, runHandle)
    .requiredOption('--to <url>', 'the hub that it goes to, as its devices reach it', hubUrl)
    .option('--hub <url>', 'the hub that it leaves, as others reach it', hubUrl, DEFAULT_HUB)
    .addOption(runOwnerOption())
    .option('--stay-paused', 'do not resume it there', false)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
The open round is judged, merged and paid first, then the run is paused and goes: its model, rounds, shares, stakes and everybody's record go
along. What the old log says of it stays there and counts no more. Its devices follow by themselves. A move that breaks off is gone on with
when the same command is given again; "potluck run resume" keeps a run that has not left yet. An audit of the new hub reads the run's past
at the old one, so let that one, or a mirror of it, be there for others.

Examples:
  $ potluck run move 3fa9c1 --to https://hub2.example
  $ potluck run move 3fa9c1 --hub http://hub1.example:7700 --to http://hub2.example:7700`,
    )
    .action(async (wanted: string, flags: MoveFlags) => {
      const owner = await loadIdentity(flags.owner ?? ownerKeyFile());
      const output = openOutput(flags.json);
      const moved = await moveRun({
        ...{ url: flags.hub, to: flags.to, owner, wanted, folder: join(homeFolder(), 'cache') },
        stays_paused: flags.stayPaused,
        onStep(step) {
          const text = wordsOf(step);
          if (text !== '') output.say(text, { type: 'moving', ...step });
        },
      });
      const { run, name, merged_rounds, rounds, state_bytes, blobs } = moved;
      const what = `${merged_rounds} of ${rounds} rounds, ${formatBytes(state_bytes)} of records, ${blobs} blobs`;
      const then = flags.stayPaused
        ? `paused; let it go on: ${potluckHere()} run resume ${run.slice(0, 12)} --hub ${flags.to}`
        : 'and goes on';
      output.say(`Run ${run.slice(0, 12)} (${nameOf(name)}) is at ${flags.to} now, ${then}: ${what}`, {
        type: 'moved',
        ...moved,
      });
    });
}

/** A step in words; nothing for those between. */
function wordsOf(step: MoveStep): string {
  switch (step.do) {
    case 'pausing':
      return 'pausing it: the open round is judged, merged and paid first …';
    case 'leaving':
      return 'asking the hub to let it go …';
    case 'bringing':
      return 'reading what it takes along, with the proof …';
    case 'copying':
      return step.done === 0 ? 'copying the blobs that its devices need …' : '';
    case 'resuming':
      return 'letting it go on …';
  }
}
