// Creates runs for their owner: uploads the data and the first model to the hub, and signs the event that starts the run.
import { openBlobFolder } from '#blob-folder';
import type { RunCreated } from '../core/events/run-created.ts';
import { GameError } from '../games/errors.ts';
import { withFirstWork } from '../games/first-work.ts';
import { type AnyGame, hasTensors, stagesOf } from '../games/game.ts';
import { decodeParams } from '../games/params.ts';
import { wordsOfGame } from '../games/parts.ts';
import { parameterCount } from '../games/pretrain/params.ts';
import { loadGame } from '../games/registry.ts';
import { keepState, type PutBlob } from '../games/state.ts';
import type { TrainingParams } from '../games/text-training.ts';
import { type LlamaConfigInput, parameterSpecs, type Weights } from '../model/config.ts';
import { roundedWeights, widthOf } from '../model/dtypes.ts';
import { initialWeights } from '../model/init.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { openPeerBlobs, type Transfer, transferTeller } from '../peer/blobs.ts';
import { whereToSay } from '../peer/registry.ts';
import { sendEvent } from '../peer/send-event.ts';
import { signEvent } from '../protocol/envelope.ts';
import type { Identity } from '../protocol/identity.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { DataError } from '../training/corpus-errors.ts';
import { type PreparedDataset, prepareDataset, storeDataset, type TextsToLearn } from '../training/dataset.ts';
import { type DatasetManifest, encodeManifest } from '../training/shards.ts';
import { accountOn } from './account.ts';

/** What a run learns from: texts, or a dataset that is there already, such as one from a teacher. */
type ToLearn = TextsToLearn | { readonly dataset: PreparedDataset; readonly tokenizer: Tokenizer };

/** What a run learns from and what it trains. */
export type RunPlan = ToLearn & PlannedRun;

interface PlannedRun {
  /** Without vocab_size it gets a row for each id of the tokenizer; a model to continue from may have more rows. */
  readonly model: Omit<LlamaConfigInput, 'vocab_size'> & { readonly vocab_size?: number };
  /** The game's other settings, as PretrainParamsSchema takes them; with `stages`, as PipelineParamsSchema does: then the model is cut into them. */
  readonly training: Record<string, unknown>;
  readonly onProgress?: (what: string) => void;
}

export type NewRun = RunPlan & PlannedNewRun;

interface PlannedNewRun {
  readonly name: string;
  /** Weights to start from; without them the model is initialised from the seed. */
  readonly weights?: Weights;
  /** The run whose last stated model this one starts from; the hub has its weights. */
  readonly ancestor?: RunCreated['ancestor'];
  readonly seed: string;
  readonly schedule: Pick<
    RunCreated,
    'rounds' | 'round_ms' | 'judging_ms' | 'min_workers' | 'checkpoint_every' | 'rules' | 'keep' | 'apart_rounds'
  >;
  /** Called with what the run will be, after its text was read and before anything is sent. */
  readonly onPrepared?: (run: PreparedRun) => void;
  readonly onUpload?: (done_bytes: number, total_bytes: number) => void;
}

/** A run that is prepared; nothing of it has been sent yet. */
export interface PreparedRun {
  readonly params: TrainingParams;
  readonly dataset: PreparedDataset;
}

/** The game of a plan. */
const gameOf = ({ training }: Pick<PlannedRun, 'training'>): Promise<AnyGame> =>
  loadGame(training.stages === undefined ? 'pretrain' : 'pipeline');

/**
 * Everything of a run that needs no hub. The caller closes the dataset.
 * Throws GameError bad-params and ModelError for settings that no run can have, before anything is read, and DataError.
 */
export async function prepareRun(plan: RunPlan & Partial<Pick<NewRun, 'ancestor'>>): Promise<PreparedRun> {
  const params = await checkedParams(plan);
  if (!plan.ancestor) mustBeUploaded(params);
  if (!('dataset' in plan)) plan.onProgress?.('tokenising the text');
  const dataset = 'dataset' in plan ? plan.dataset : await prepareDataset(plan);
  try {
    requireWindows(dataset.manifest, params.context);
  } catch (error) {
    await dataset.close();
    throw error;
  }
  return { params, dataset };
}

/** Creates a run that trains a model on text; resolves to its id once the hub has accepted it. Throws PeerError, TrainingError, ModelError. */
export async function createRun(url: string, identity: Identity, folder: string, options: NewRun): Promise<string> {
  const hub = await hubWithRoom(url, identity);
  const say = options.onProgress ?? (() => {});
  const tell = transferTeller(say);
  let storing = false;
  // Of single pieces of text only problems are reported; progress is reported for all of them together.
  const onTransfer = (transfer: Transfer): void => {
    if (!storing || transfer.trouble !== null) tell(transfer);
  };
  const blobs = openPeerBlobs({ url, hub, identity, cache: openBlobFolder(folder), onTransfer });
  const prepared = await prepareRun(options);
  const { model } = prepared.params;
  const { dataset } = prepared;
  try {
    options.onPrepared?.(prepared);
    storing = true;
    await storeDataset(dataset, { put: blobs.upload, has: blobs.has, onProgress: options.onUpload });
  } finally {
    storing = false;
    await dataset.close();
  }
  const manifest = await blobs.upload(encodeManifest(dataset.manifest));
  const params = new TextEncoder().encode(JSON.stringify({ ...options.training, model, dataset: manifest }));
  const { ancestor } = options;
  if (!ancestor) say('uploading the first model');
  const game = await gameOf(options);
  const stages = stagesOf(game, prepared.params);
  const event = await signEvent(identity, {
    ...{ type: 'run.created', version: 3, hub, name: options.name, game: game.name },
    ...wordsOfGame(game),
    params: await blobs.upload(params),
    model: ancestor?.model ?? (await keepFirst(game, prepared.params, options, blobs.upload)),
    ...(stages > 0 && { stages }),
    ...(ancestor && { ancestor }),
    ...options.schedule,
    rules: await withFirstWork(options.schedule.rules, game, prepared.params),
    created_ms: Date.now(),
  });
  return sendEvent(url, event);
}

/** Stores the first model; resolves with its hash. */
async function keepFirst(
  game: AnyGame,
  params: TrainingParams,
  { seed, weights: from }: Pick<NewRun, 'seed' | 'weights'>,
  put: PutBlob,
): Promise<string> {
  if ('stages' in params) return (await import('./staged-start.ts')).keepFirstStages(params, seed, from, put);
  const weights = from ?? initialWeights(params.model, seed);
  return keepState(game, params, roundedWeights(params.sparse.weights, weights), put);
}

/** A run of a game whose settings define its first state. */
export interface NewGameRun extends Pick<NewRun, 'schedule'> {
  readonly name: string;
  readonly game: AnyGame;
  /** The game's settings; what is missing has its default. */
  readonly settings: unknown;
  /** The game's file, for those who agree to run it by its hash (games/game-text.ts). */
  readonly file?: Uint8Array;
}

/** Creates a run of any game that has a `first` state. Throws PeerError, GameError bad-params. */
export async function createGameRun(
  url: string,
  identity: Identity,
  folder: string,
  { name, game, settings, file, schedule }: NewGameRun,
): Promise<string> {
  const params = await decodeParams(game, new TextEncoder().encode(JSON.stringify(settings)));
  if (!game.first) throw new GameError('bad-params', `${game.name} does not say how it begins: it has no "first"`);
  const hub = await hubWithRoom(url, identity);
  const blobs = openPeerBlobs({ url, hub, identity, cache: openBlobFolder(folder) });
  const event = await signEvent(identity, {
    ...{ type: 'run.created', version: 3, hub, name, game: game.name, created_ms: Date.now() },
    ...wordsOfGame(game),
    params: await blobs.upload(new TextEncoder().encode(JSON.stringify(params))),
    ...(file && { game_file: await blobs.upload(file) }),
    model: await keepState(game, params, await game.first(params), blobs.upload),
    ...schedule,
    rules: await withFirstWork(schedule.rules, game, params),
  });
  return sendEvent(url, event);
}

/** The hub's id, if it would accept another run of this owner. Reading the text takes long, so the caller asks first. Throws PeerError. */
async function hubWithRoom(url: string, { id }: Identity): Promise<string> {
  const { hub, run_refusal } = await accountOn(url, id);
  if (run_refusal) throw new PeerError('refused', run_refusal.message, { refusal: run_refusal.code });
  return hub;
}

/** Each split must hold at least one window of the context, and the target of its last token. */
function requireWindows(manifest: DatasetManifest, context: number): void {
  for (const split of ['train', 'validation'] as const) {
    const longest = manifest[split].reduce((most, { tokens }) => Math.max(most, tokens), 0);
    if (longest > context) continue;
    throw new DataError(
      'no-text',
      `too little text for a context of ${context} tokens: the longest piece of the ${split} split has ${longest}`,
    );
  }
}

/** Throws GameError `bad-params` for a first model that is larger than what a hub takes before a run names it. */
function mustBeUploaded({ model, sparse }: TrainingParams): void {
  const size_bytes = parameterCount(parameterSpecs(model)) * widthOf(sparse.weights);
  const most_bytes = WIRE_LIMITS.model_bytes;
  if (size_bytes <= most_bytes) return;
  const [size, most] = [size_bytes, most_bytes].map((bytes) => (bytes / 1e9).toFixed(2));
  throw new GameError(
    'bad-params',
    `the model takes ${size} GB in ${sparse.weights}; hubs take a first model of at most ${most} GB`,
  );
}

/** The complete settings, except the dataset's name. Throws GameError `bad-params` and ModelError for settings that no run can have. */
async function checkedParams(plan: RunPlan): Promise<TrainingParams> {
  const { model, tokenizer, training } = plan;
  const { vocab_size } = tokenizer;
  const draft = { ...training, model: { vocab_size, ...model }, dataset: '0'.repeat(64) };
  const game = await gameOf(plan);
  const params = (await decodeParams(game, new TextEncoder().encode(JSON.stringify(draft)))) as TrainingParams;
  if (hasTensors(game)) game.tensors(params); // throws where the model cannot be cut so
  return params;
}

/** Names, on a hub or its registry, the address at which an owner's shares are to be settled. Throws PeerError `refused`, `hub-unreachable`, `not-a-hub`. */
export async function stateAddress(url: string, owner: Identity, address: string): Promise<void> {
  const at = await whereToSay(url);
  const { hub, next_change: change } = await accountOn(at, owner.id);
  await sendEvent(
    at,
    await signEvent(owner, { type: 'account.address', version: 1, hub, change, chain: 'evm', address }),
  );
}
