// `potluck export RUN DIR`: a run's model, in the files that other tools read.
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { gamesOf } from '../games/game-file.ts';
import { WRITTEN_TYPES, type WrittenType } from '../model/gguf-types.ts';
import { EXPORT_FORMATS, type ExportFormat, exportRun, exportState } from '../owner/export-model.ts';
import { transferTeller } from '../peer/blobs.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import { agreedGames, type GameFlags } from './agreed-games.ts';
import { homeFolder, mustTakeFiles, ownerKeyFile } from './folders.ts';
import { A_RUN, DEFAULT_HUB, gameFileOption, gameHashOption, hubUrl, jsonOption, runHandle } from './options.ts';
import { CliError, openOutput } from './output.ts';

interface ExportFlags extends GameFlags {
  hub: string;
  owner?: string;
  format: ExportFormat;
  quantisation?: WrittenType;
  json: boolean;
}

export function exportCommand(): Command {
  return new Command('export')
    .argument('<run>', A_RUN, runHandle)
    .argument('<dir>', 'the folder to write; files in it are replaced')
    .option('--hub <url>', 'the address of the hub', hubUrl, DEFAULT_HUB)
    .option('--owner <file>', 'the key to sign the manifest with, instead of the one under ~/.potluck')
    .addOption(
      new Option(
        '--format <format>',
        'what to write: folder for transformers, beside it onnx for transformers.js or gguf for llama.cpp',
      )
        .choices(EXPORT_FORMATS)
        .default('folder'),
    )
    .addOption(new Option('--quantisation <name>', 'how model.gguf stores the weights (f32)').choices(WRITTEN_TYPES))
    .addOption(gameFileOption())
    .addOption(gameHashOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck export 3fa9c1 ./my-model
  $ potluck verify ./my-model
  $ potluck export 3fa9c1 ./my-model --format onnx             onnx/model.onnx and model_quantized.onnx beside it
  $ potluck export 3fa9c1 ./my-model --format gguf --quantisation q8_0     model.gguf beside it
  $ potluck export 3fa9c1 ./found --game-file ./my-game.ts     a game of your own: its state as it is
  $ python -c "from transformers import AutoModelForCausalLM as M; print(M.from_pretrained('./my-model'))"`,
    )
    .action(async (run: string, dir: string, options: ExportFlags) => {
      if (options.quantisation && options.format !== 'gguf') {
        throw new CliError('bad-argument', '--quantisation goes with --format gguf; other files keep their own types');
      }
      mustTakeFiles(dir);
      const cache = join(homeFolder(), 'cache');
      const output = openOutput(options.json);
      const onTransfer = transferTeller((sentence, transfer) =>
        output.say(sentence, { type: 'transfer', ...transfer }),
      );
      const found = await exportState(options.hub, run, cache, dir, await gamesOf(agreedGames(options)), onTransfer);
      if (found) {
        if (options.format !== 'folder') {
          const fact = `run ${found.run} trains no model, so there is no ${options.format} of it`;
          throw new CliError('bad-argument', `${fact}: its state is in ${found.file}`);
        }
        output.say(
          `The state of ${found.game} after ${found.merged_rounds} rounds is in ${found.file}: its hash is the one in the log.`,
          { type: 'exported', folder: dir, ...found },
        );
        return;
      }
      const signer = await loadOrCreateIdentity(options.owner ?? ownerKeyFile());
      const taken = await exportRun({
        ...{ url: options.hub, wanted: run, folder: cache, target: dir, signer, onTransfer },
        ...{ format: options.format, quantisation: options.quantisation },
      });
      const { model, merged_rounds, files } = taken;
      output.say(
        `Model ${model.slice(0, 12)} after ${merged_rounds} rounds is in ${dir}: its hash is the one in the log.`,
        { type: 'exported', run: taken.run, model, merged_rounds, folder: dir, files, signer: signer.id },
      );
    });
}
