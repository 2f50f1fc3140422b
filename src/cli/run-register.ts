// `potluck run register`: lists a run in a registry's directory, so that whoever knows the registry finds it.
import { Command } from 'commander';
import { listRun } from '../owner/list-run.ts';
import { loadIdentity } from '../protocol/identity-file.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { potluckHere } from './called-as.ts';
import { ownerKeyFile } from './folders.ts';
import { A_RUN, DEFAULT_HUB, hubUrl, jsonOption, runHandle, runOwnerOption } from './options.ts';
import { openOutput } from './output.ts';

interface RegisterFlags {
  hub: string;
  registry?: string;
  owner?: string;
  json: boolean;
}

export function registerCommand(): Command {
  return new Command('register')
    .description("list your run in a registry's directory, where others find it")
    .argument('<run>', A_RUN, runHandle)
    .option('--hub <url>', 'the hub where it is, as others reach it', hubUrl, DEFAULT_HUB)
    .option('--registry <url>', 'the registry (default: the one that the hub follows)', hubUrl)
    .addOption(runOwnerOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
The registry's log gets an event of yours with the proof that the hub's log holds the run. Whoever has the registry's address finds the
run there (potluck run list --registry URL), also after it has moved; register it again then, so that its first hub may close.

Examples:
  $ potluck run register 3fa9c1 --hub http://hub.example:7700
  $ potluck run register "my run" --hub https://hub.example --registry https://registry.example`,
    )
    .action(async (wanted: string, { hub: url, registry, owner: file, json }: RegisterFlags) => {
      const owner = await loadIdentity(file ?? ownerKeyFile());
      const listed = await listRun({ url, registry, owner, wanted });
      const { run, name, registry_url } = listed;
      const short = run.slice(0, 12);
      openOutput(json).say(
        `Run ${short} (${nameOf(name)}) is listed at ${registry_url}: ${potluckHere()} join ${registry_url}/r/${short}`,
        { type: 'registered', ...listed },
      );
    });
}
