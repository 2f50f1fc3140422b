// Every model version computed anew from the work that the log names: the same merge as the hub's, compared by hash.
import { decodeBundle, encodeBundle } from '../games/bundle.ts';
import { GameError } from '../games/errors.ts';
import { type AcceptedWork, type AnyGame, isStaged } from '../games/game.ts';
import { decodeParams } from '../games/params.ts';
import { type LoadGame, offerOf } from '../games/registry.ts';
import { checkState, type Kept, partsNamedIn, readState } from '../games/state.ts';
import { sha256Hex } from '../protocol/hash.ts';
import {
  auditFailureOf,
  checkForm,
  type KeptBlobs,
  keptBlobs,
  mergeHonestly,
  type OpenGame,
  orAuditFailure,
  type PresentModel,
} from './merge-again.ts';
import { emptyReport, type ModelReport } from './model-report.ts';
import type { EvidenceTask, MergeTask, ModelTask, NamedWork, RecentTask, RunTask, WorkTask } from './model-tasks.ts';
import { AuditFailure, type PublicBlobs, PublicLogError } from './public-log.ts';

interface RunModels {
  readonly open: OpenGame | null;
  /** The present model; null when the way to it is lost. */
  present: PresentModel | null;
}

export interface ModelChecker {
  /** Tasks of one run must come in the order of the log. Throws AuditFailure (`details.index`), PublicLogError. */
  check(task: ModelTask): Promise<ModelReport>;
}

/** Checks against the blobs of a log; holds one model a run, of games with stages none. */
export function createModelChecker(blobs: PublicBlobs, loadGame: LoadGame): ModelChecker {
  return new BlobModelChecker(blobs, loadGame);
}

class BlobModelChecker implements ModelChecker {
  readonly #blobs: PublicBlobs;
  readonly #loadGame: LoadGame;
  readonly #games = new Map<string, Promise<OpenGame | null>>();
  readonly #runs = new Map<string, RunModels>();

  constructor(blobs: PublicBlobs, loadGame: LoadGame) {
    this.#blobs = blobs;
    this.#loadGame = loadGame;
  }

  async check(task: ModelTask): Promise<ModelReport> {
    const report = emptyReport();
    if (task.kind === 'run') await this.#beginRun(task, report);
    else if (task.kind === 'merge') await this.#merge(task, report);
    else if (task.kind === 'recent') await this.#recent(task, report);
    else if (task.kind === 'work') await this.#checkForms(task, report);
    else await this.#checkEvidence(task, report);
    return report;
  }

  async #beginRun(task: RunTask, report: ModelReport): Promise<void> {
    const { run, index, model } = task;
    this.#runs.set(run, { open: null, present: null }); // what later tasks find when this one throws
    const open = await this.#openGame(task, index);
    const models: RunModels = { open, present: null };
    this.#runs.set(run, models);
    if (!open) {
      const offer = task.game_file ? `, or the run's by its hash: --game ${task.game_file}` : '';
      report.reason = `this build has no game "${task.game}": its file is needed (potluck audit --game-file${offer})`;
      return;
    }
    models.present = await this.#readWhole('bad-run', open, task, report);
    if (models.present) return;
    report.reason = `model ${model}, which later ones were made from, is not kept`;
  }

  async #merge(task: MergeTask, report: ModelReport): Promise<void> {
    const { index, bundle } = task;
    const own: (Uint8Array | null)[] = [];
    for (const { work, index: at } of task.works) own.push(await this.#fetchNamed(work, at, report));
    await this.#mergeOf(task, worksOfMerge(task, own, await this.#fetchNamed(bundle, index, report)), report);
  }

  /** Which submissions these are, and that they were accepted, is in the log that the run came from. */
  async #recent({ run, index, merges }: RecentTask, report: ModelReport): Promise<void> {
    for (const merge of merges) {
      const bundled = await this.#fetchNamed(merge.bundle, index, report);
      const pieces = bundled && readBundle({ index, blob: merge.bundle }, bundled);
      const works = (pieces ?? []).map(({ work, weight }) => {
        return { index, event: '', work: sha256Hex(work), size_bytes: work.length, weight };
      });
      const task: MergeTask = { kind: 'merge', run, index, ...merge, works, checkpoint: false, rest: null };
      await this.#mergeOf(task, pieces?.map(({ work }) => work) ?? null, report);
    }
  }

  /** @param works null: they are not kept */
  async #mergeOf(task: MergeTask, works: Uint8Array[] | null, report: ModelReport): Promise<void> {
    const { index, model } = task;
    const models = this.#runs.get(task.run)!;
    const { open, present } = models;
    // The checkpoint is read even where it is not needed to go on: a hub that serves wrong bytes under its name is found.
    const whole = task.checkpoint ? [model, ...(task.rest === null ? [] : [task.rest])] : [];
    let kept = task.checkpoint;
    for (const hash of whole) {
      if (await this.#isKept(hash, index)) continue;
      kept = false;
      report.absent.push({ hash, index });
    }
    if (task.step !== null) await this.#fetchNamed(task.step, index, report);
    let why = whyUnchecked(task, { hasGame: open !== null, hasWork: works !== null, present: present?.model ?? null });
    if (why === null) {
      await checkSizes(open!, task.works, works!);
      const merged = await mergeHonestly(open!, present!, task, works!, this.#keptAt(index));
      if (merged) {
        // What is read from blobs is read from those of the model after it next.
        models.present = merged.held || kept ? merged : null;
        report.models++;
        report.works += works!.length;
        return;
      }
      why = 'the model before is not kept any more';
    }
    report.unchecked_models++;
    report.unchecked_works += task.works.length;
    report.reason = `round ${task.round} (event ${index}): ${why}`;
    // Bytes of the right hash are the model that the log names, however it came about: from here on merges can be checked again.
    if (open) models.present = kept ? await this.#readWhole('wrong-model', open, task, report) : null;
  }

  /** A model that is kept whole, with what its steps have left out; null, and reported, where a blob of them is not kept. */
  async #readWhole(
    code: AuditFailure['code'],
    open: OpenGame,
    { model, rest, index }: Pick<RunTask, 'model' | 'rest' | 'index'>,
    report: ModelReport,
  ): Promise<PresentModel | null> {
    const state = await this.#readState(code, open, model, index, 'state');
    if (!state) report.absent.push({ hash: model, index });
    const left = rest === null ? null : await this.#readState(code, open, rest, index, 'rest');
    if (rest !== null && !left) report.absent.push({ hash: rest, index });
    if (!state || (rest !== null && !left)) return null;
    return { model, rest, held: isStaged(open.game) ? null : { state: state.value, rest: left?.value ?? null } };
  }

  /** A state that an event names; null where one of its blobs is not kept. Whatever else is wrong with it is an untruth. */
  async #readState(
    code: AuditFailure['code'],
    { game, params }: OpenGame,
    model: string,
    index: number,
    as: Kept,
  ): Promise<{ readonly value: unknown } | null> {
    const { fetch, all } = this.#keptAt(index);
    try {
      if (!isStaged(game)) return { value: await readState(game, params, model, fetch, as) };
      await checkState(game, params, model, fetch, as);
      return { value: null };
    } catch (error) {
      if (!all()) return null;
      // What was said while a blob was fetched is of the log already.
      if (error instanceof AuditFailure || error instanceof PublicLogError) throw error;
      throw auditFailureOf(code, { index, blob: model }, error);
    }
  }

  #keptAt(index: number): KeptBlobs {
    return keptBlobs((hash) => this.#fetchAt(hash, index));
  }

  /** Whether all blobs of a checkpoint are kept, and are what their names say. */
  async #isKept(state: string, index: number): Promise<boolean> {
    const bytes = await this.#fetchAt(state, index);
    for (const part of bytes ? partsNamedIn(bytes) : []) if (!(await this.#fetchAt(part, index))) return false;
    return bytes !== null;
  }

  async #checkForms(task: WorkTask, report: ModelReport): Promise<void> {
    const open = await this.#openGame(task, task.index);
    for (const named of task.works) {
      const bytes = open && (await this.#fetchNamed(named.work, named.index, report));
      if (open && bytes) {
        await checkSizes(open, [named], [bytes]);
        await checkForm(open, named, bytes);
        report.works++;
        continue;
      }
      report.unchecked_works++;
      if (open) report.gone.push(named.event);
    }
  }

  async #checkEvidence({ named }: EvidenceTask, report: ModelReport): Promise<void> {
    for (const { index, evidence } of named) {
      if (await this.#fetchAt(evidence, index)) report.evidence++;
      else report.unchecked_evidence++;
    }
  }

  /** A game with its settings; null when this build has no such game. */
  #openGame(task: RunTask | WorkTask, index: number): Promise<OpenGame | null> {
    const key = `${task.game}:${task.game_file}:${task.params}`;
    let open = this.#games.get(key);
    if (!open) {
      open = this.#readGame(task, index);
      this.#games.set(key, open);
    }
    return open;
  }

  async #readGame({ game: name, game_file, params }: RunTask | WorkTask, index: number): Promise<OpenGame | null> {
    let game: AnyGame;
    try {
      const file = offerOf(game_file, (hash) => this.#offered(hash));
      game = await this.#loadGame(name, file);
    } catch (error) {
      if (error instanceof GameError) return null;
      throw error;
    }
    const bytes = await this.#fetchAt(params, index);
    if (!bytes) {
      throw new AuditFailure('missing-blob', `the run's settings, blob ${params}, are not kept`, {
        index,
        blob: params,
      });
    }
    return orAuditFailure('bad-run', { index, blob: params }, async () => ({
      game,
      params: await decodeParams(game, bytes),
    }));
  }

  async #offered(hash: string): Promise<Uint8Array> {
    const bytes = await this.#blobs.blob(hash);
    if (bytes) return bytes;
    throw new GameError('bad-game-file', `the game's file, blob ${hash}, is not kept`);
  }

  /** A blob that the event at `index` names; one that is not kept is reported. */
  async #fetchNamed(hash: string, index: number, report: ModelReport): Promise<Uint8Array | null> {
    const bytes = await this.#fetchAt(hash, index);
    if (!bytes) report.absent.push({ hash, index });
    return bytes;
  }

  async #fetchAt(hash: string, index: number): Promise<Uint8Array | null> {
    try {
      return await this.#blobs.blob(hash);
    } catch (error) {
      if (!(error instanceof AuditFailure)) throw error;
      throw new AuditFailure(error.code, error.message, { index, ...error.details });
    }
  }
}

/**
 * The accepted work of a merge, by the blobs of its workers or from the round's bundle; where both are kept they are compared.
 * @param own the workers' blobs in the order of the task's works; null: not kept
 * @returns null: neither is kept whole. Throws AuditFailure wrong-bundle.
 */
export function worksOfMerge(
  { index, round, bundle, works }: Pick<MergeTask, 'index' | 'round' | 'bundle' | 'works'>,
  own: readonly (Uint8Array | null)[],
  bundled: Uint8Array | null,
): Uint8Array[] | null {
  const wrong = (what: string): AuditFailure =>
    new AuditFailure('wrong-bundle', `bundle ${bundle} of round ${round}: ${what}`, { index, blob: bundle });
  if (own.every((work) => work !== null)) {
    const expected = sha256Hex(encodeBundle(own.map((work, i) => ({ work, weight: works[i].weight }))));
    if (expected !== bundle) throw wrong(`the accepted work gives bundle ${expected}`);
    return [...own];
  }
  if (!bundled) return null;
  const pieces = readBundle({ index, blob: bundle }, bundled);
  if (pieces.length !== works.length) throw wrong(`expected ${works.length} submissions in it, got ${pieces.length}`);
  pieces.forEach(({ work, weight }, i) => {
    const named = works[i];
    if (sha256Hex(work) === named.work && weight === named.weight) return;
    throw wrong(`piece ${i} is not the work of submission ${named.event} with its weight ${named.weight}`);
  });
  return pieces.map(({ work }) => work);
}

function readBundle(details: { index: number; blob: string }, bytes: Uint8Array): AcceptedWork[] {
  try {
    return decodeBundle(bytes);
  } catch (error) {
    throw auditFailureOf('wrong-bundle', details, error);
  }
}

/**
 * Why a merge cannot be computed anew; null: it can.
 * @param at.present the hash of the model that is at hand; null: the way to it is lost
 */
export function whyUnchecked(
  { parent }: Pick<MergeTask, 'parent'>,
  at: { readonly hasGame: boolean; readonly hasWork: boolean; readonly present: string | null },
): string | null {
  if (!at.hasGame) return 'this build does not have its game, whose file is needed (potluck audit --game-file)';
  if (!at.hasWork) return 'its work is not kept any more';
  return at.present === parent ? null : 'the model before is not known';
}

async function checkSizes(open: OpenGame, named: readonly NamedWork[], works: readonly Uint8Array[]): Promise<void> {
  const { max_bytes } = await open.game.sizes(open.params);
  named.forEach(({ index, work, size_bytes }, i) => {
    if (works[i].length === size_bytes && size_bytes <= max_bytes) return;
    const message = `work ${work}: the event says ${size_bytes} bytes of at most ${max_bytes}, the blob has ${works[i].length}`;
    throw new AuditFailure('bad-work', message, { index, blob: work });
  });
}
