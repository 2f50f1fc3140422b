// Which flags of `potluck run create` go together: a flag that would be ignored is refused before any work.
import type { LlamaConfig } from '../model/config.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { CliError } from './output.ts';
import { OF_A_BOUNDARY } from './run-boundary.ts';

/** Flags for what an existing model already determines. */
const OF_A_NEW_MODEL = ['layers', 'width', 'heads', 'kvHeads', 'feedForward', 'tied', 'seed'];
/** Flags of pre-training only; other games take their settings from --params. */
const OF_PRETRAIN = [
  ...['data', 'textField', 'skipBad', 'validation', 'dryRun', 'tokenizer', 'from', 'fromRun', 'royaltyPermille'],
  ...[
    'steps',
    'context',
    'batch',
    'learningRate',
    'merge',
    'weights',
    'stages',
    'microBatches',
    'apartRounds',
    ...OF_A_BOUNDARY,
    ...OF_A_NEW_MODEL,
  ],
];

interface DecidingFlags {
  readonly game: string;
  readonly from?: string;
  readonly fromRun?: string;
  readonly width: number;
  readonly heads: number;
  readonly stages?: number;
  readonly minWorkers: number;
}

/**
 * Refuses flags that contradict each other.
 * @param given whether a flag was given, by its name in commander
 * Throws CliError bad-argument with both names.
 */
export function checkCreateFlags(flags: DecidingFlags, given: (name: string) => boolean): void {
  const { game, from, fromRun, stages, minWorkers } = flags;
  if (game === 'pipeline') {
    throw new CliError('bad-argument', 'expected --stages N in place of --game pipeline: it trains on --data as well');
  }
  if (game !== 'pretrain') {
    const ignored = OF_PRETRAIN.find(given);
    if (ignored)
      throw contradiction(ignored, `--game ${game}`, 'it is a setting of pretrain; other games have --params');
    return;
  }
  if (given('microBatches') && stages === undefined) {
    throw new CliError('bad-argument', '--micro-batches goes with --stages: other workers step after each batch');
  }
  if (given('apartRounds') && stages === undefined) {
    throw new CliError('bad-argument', '--apart-rounds goes with --stages: a model that is not cut is held whole');
  }
  const boundary = stages === undefined && OF_A_BOUNDARY.find(given);
  if (boundary) {
    throw new CliError(
      'bad-argument',
      `${flagOf(boundary)} goes with --stages: a model that is not cut has no boundary`,
    );
  }
  if (stages !== undefined && given('minWorkers') && minWorkers < stages) {
    throw contradiction('minWorkers', `--stages ${stages}`, 'nothing is learned while nobody holds a stage');
  }
  if (given('params')) throw contradiction('params', '--game pretrain', 'it is for other games');
  if (from && fromRun) throw new CliError('bad-argument', 'expected --from or --from-run, not both');
  const ignored = OF_A_NEW_MODEL.find(given);
  const origin = from ? '--from' : fromRun ? '--from-run' : null;
  if (origin && ignored) throw contradiction(ignored, origin, 'the model that the run goes on from has its own');
  if (!origin) checkHeads(flags);
  if (fromRun && given('weights')) {
    throw contradiction('weights', '--from-run', 'the model that the run goes on from is kept in its own');
  }
  if (given('royaltyPermille') && !fromRun) {
    throw new CliError('bad-argument', '--royalty-permille goes with --from-run: nobody else is owed a royalty');
  }
}

/** Heads must divide the width evenly, as every other reader of the model expects. Throws CliError `bad-argument`. */
export function checkHeads({ width, heads }: Pick<DecidingFlags, 'width' | 'heads'>): void {
  if (width < 2 * heads || width % heads === 0) return; // the model's own check speaks of heads without room
  const below = width - (width % (2 * heads));
  throw new CliError(
    'bad-argument',
    `--width ${width} is no multiple of --heads ${heads}: a head would have ${(width / heads).toFixed(2)} numbers; take ${below} or ${below + 2 * heads}`,
  );
}

/** The numbers of a model that decide into how many stages it can be cut. */
type Cuttable = Pick<LlamaConfig, 'num_hidden_layers' | 'tie_word_embeddings'>;

/** Refuses stages that the model cannot be cut into. Throws CliError `bad-argument`. */
export function checkStages({ stages }: Pick<DecidingFlags, 'stages'>, model: Cuttable): void {
  if (stages === undefined) return;
  const { num_hidden_layers, tie_word_embeddings } = model;
  if (tie_word_embeddings) {
    throw new CliError(
      'bad-argument',
      `--stages ${stages}: a model whose head is its embedding (--tied) is not cut, because the first and the last stage would exchange all of it at every step`,
    );
  }
  const parts = num_hidden_layers + 2;
  if (stages <= parts) return;
  throw new CliError(
    'bad-argument',
    `--stages ${stages}: this model has ${parts} parts, ${num_hidden_layers} ${num_hidden_layers === 1 ? 'layer' : 'layers'}, its embedding and its head; take at most ${parts}`,
  );
}

/** Refuses a context that the existing model was not made for. Throws CliError `bad-argument`. */
export function checkContext(context: number, { max_position_embeddings }: LlamaConfig, origin: string): void {
  if (context <= max_position_embeddings) return;
  throw new CliError(
    'bad-argument',
    `--context ${context} and ${origin} contradict each other: that model has ${max_position_embeddings} positions`,
  );
}

/**
 * Refuses a tokenizer with ids that the model has no rows for. Rows without an id are common, because trainers pad the embedding.
 * @param file the file that --tokenizer names. Throws CliError `bad-argument`.
 */
export function checkTokenizer(tokenizer: Tokenizer, { vocab_size }: LlamaConfig, origin: string, file?: string): void {
  if (tokenizer.vocab_size <= vocab_size) return;
  const whose = file ? `of ${file}` : 'that it comes with';
  throw new CliError(
    'bad-argument',
    `the tokenizer ${whose} has ids up to ${tokenizer.vocab_size - 1}, the model of ${origin} rows for ids up to ${vocab_size - 1}`,
  );
}

/** An existing model needs its own tokenizer: with other tokens its weights mean nothing. Throws CliError `missing-file`. */
export function missingTokenizer(from: string): never {
  throw new CliError(
    'missing-file',
    `${from} has no tokenizer.json; name one with --tokenizer, or let transformers write it: AutoTokenizer.from_pretrained('DIR').save_pretrained('DIR')`,
  );
}

const flagOf = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

function contradiction(name: string, other: string, why: string): CliError {
  return new CliError('bad-argument', `${flagOf(name)} and ${other} contradict each other: ${why}`);
}
