// Which flags of `potluck run create` go together: one that would be ignored is refused before any work.
import type { LlamaConfig } from '../model/config.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { CliError } from './output.ts';

/** What a model that is gone on from has already. */
const OF_A_NEW_MODEL = ['layers', 'width', 'heads', 'kvHeads', 'feedForward', 'tied', 'seed'];
/** What only pre-training knows; other games take their settings from --params. */
const OF_PRETRAIN = [
  ...['data', 'textField', 'skipBad', 'validation', 'dryRun', 'tokenizer', 'from', 'fromRun', 'royaltyPermille'],
  ...['steps', 'context', 'batch', 'learningRate', 'merge', ...OF_A_NEW_MODEL],
];

interface DecidingFlags {
  readonly game: string;
  readonly from?: string;
  readonly fromRun?: string;
  readonly width: number;
  readonly heads: number;
}

/**
 * Refuses flags that contradict each other.
 * @param given whether a flag stands on the command line, by its name in commander
 * Throws CliError bad-argument with both names.
 */
export function checkCreateFlags(flags: DecidingFlags, given: (name: string) => boolean): void {
  const { game, from, fromRun } = flags;
  if (game !== 'pretrain') {
    const ignored = OF_PRETRAIN.find(given);
    if (ignored)
      throw contradiction(ignored, `--game ${game}`, 'it is a setting of pretrain; other games have --params');
    return;
  }
  if (given('params')) throw contradiction('params', '--game pretrain', 'it is for other games');
  if (from && fromRun) throw new CliError('bad-argument', 'expected --from or --from-run, not both');
  const ignored = OF_A_NEW_MODEL.find(given);
  const origin = from ? '--from' : fromRun ? '--from-run' : null;
  if (origin && ignored) throw contradiction(ignored, origin, 'the model that the run goes on from has its own');
  if (!origin) checkHeads(flags);
  if (given('royaltyPermille') && !fromRun) {
    throw new CliError('bad-argument', '--royalty-permille goes with --from-run: nobody else is owed a royalty');
  }
}

/** Heads share the width evenly, as they do for everybody else who reads the model. Throws CliError bad-argument. */
function checkHeads({ width, heads }: DecidingFlags): void {
  if (width < 2 * heads || width % heads === 0) return; // the model's own check speaks of heads without room
  const below = width - (width % (2 * heads));
  throw new CliError(
    'bad-argument',
    `--width ${width} is no multiple of --heads ${heads}: a head would have ${(width / heads).toFixed(2)} numbers; take ${below} or ${below + 2 * heads}`,
  );
}

/** Refuses a context that the model a run goes on from was not made for. Throws CliError bad-argument. */
export function checkContext(context: number, { max_position_embeddings }: LlamaConfig, origin: string): void {
  if (context <= max_position_embeddings) return;
  throw new CliError(
    'bad-argument',
    `--context ${context} and ${origin} contradict each other: that model has ${max_position_embeddings} positions`,
  );
}

/**
 * Refuses a tokenizer with ids that the model has no rows for; rows without an id are common, since trainers pad the embedding.
 * @param file what --tokenizer named. Throws CliError bad-argument.
 */
export function checkTokenizer(tokenizer: Tokenizer, { vocab_size }: LlamaConfig, origin: string, file?: string): void {
  if (tokenizer.vocab_size <= vocab_size) return;
  const whose = file ? `of ${file}` : 'that it comes with';
  throw new CliError(
    'bad-argument',
    `the tokenizer ${whose} has ids up to ${tokenizer.vocab_size - 1}, the model of ${origin} rows for ids up to ${vocab_size - 1}`,
  );
}

/** A model knows its own tokens only: with other ones its weights mean nothing. Throws CliError missing-file. */
export function missingTokenizer(from: string): never {
  throw new CliError(
    'missing-file',
    `${from} has no tokenizer.json; name one with --tokenizer, or let transformers write it: AutoTokenizer.from_pretrained('DIR').save_pretrained('DIR')`,
  );
}

function contradiction(name: string, other: string, why: string): CliError {
  const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  return new CliError('bad-argument', `${flag} and ${other} contradict each other: ${why}`);
}
