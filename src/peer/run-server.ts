// Serves the present model of a run: loads it when a device begins, and a newer one when the run has learned on, while older answers end.
import { type AnyGame, type Device, isStaged, type TextModel } from '../games/game.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import type { RunView } from '../protocol/messages.ts';
import type { Engine } from '../serving/engine.ts';
import { type LoadedModel, serveEngine } from './served-model.ts';
import type { ServedModel, Serving } from './serving.ts';

/** A run may have a new model every few seconds; to load one costs a device as much as some answers. */
const RENEW_MS = 60_000;
/** After a failure, such as a blob that could not be fetched. */
const AGAIN_MS = 10_000;

export interface RunServerOptions {
  readonly clock: Clock;
  readonly serving: Pick<Serving, 'serve'>;
  readonly game: AnyGame;
  readonly params: unknown;
  readonly device: Device;
  /** The state whose hash the view names. */
  follow(view: RunView): Promise<unknown>;
  /** Loads a model; its cache holds the tokens of so many answers of the full context. */
  openEngine(model: TextModel & { readonly hash: string }, places: number): Promise<Engine>;
  readonly places: number;
  /** A model is offered to callers. */
  onServes(model: ServedModel): void;
  onProblem(code: string, message: string): void;
}

export interface RunServer {
  /** The run has changed. */
  onView(view: RunView): void;
  close(): Promise<void>;
}

/** An engine that cannot be served is closed: its memory is the device's. */
async function openServed(
  { openEngine, places }: RunServerOptions,
  model: Parameters<RunServerOptions['openEngine']>[0],
): Promise<LoadedModel> {
  const engine = await openEngine(model, places);
  try {
    return serveEngine(engine, places);
  } catch (error) {
    await engine.close();
    throw error;
  }
}

const whyNothing = (game: AnyGame): string =>
  isStaged(game)
    ? `the model is trained in stages, so no device of the run serves it: "potluck serve" does, on a device that can hold all of it`
    : `a state of the game ${game.name} writes no text: nothing is served`;

export function openRunServer(options: RunServerOptions): RunServer {
  const { clock, serving, game } = options;
  let newest: RunView | null = null;
  let loaded: LoadedModel | null = null;
  let loaded_ms = Number.NEGATIVE_INFINITY;
  let loading: Promise<void> | null = null;
  let timer: Timer;
  let closed = false;
  const ending = new Set<Promise<void>>();

  const end = (model: LoadedModel): void => {
    const ended = model.close().finally(() => ending.delete(ended));
    ending.add(ended);
  };
  const load = async (view: RunView): Promise<void> => {
    const state = await options.follow(view);
    const text = await game.textModel!(options.params, state, options.device);
    const next = await openServed(options, { ...text, hash: view.model });
    const before = loaded;
    loaded = next;
    loaded_ms = clock.elapsed_ms();
    if (!closed) {
      serving.serve(next.served);
      options.onServes(next.served);
    }
    if (before) end(before);
  };
  const look = (): void => {
    clock.clearTimeout(timer);
    if (closed || loading || !newest || newest.model === loaded?.served.hash) return;
    const wait_ms = newest.phase === 'finished' ? 0 : loaded_ms + RENEW_MS - clock.elapsed_ms();
    if (wait_ms > 0) {
      timer = clock.setTimeout(look, wait_ms);
      return;
    }
    let again_ms = 0;
    loading = load(newest)
      .catch((error: Error & { readonly code?: string }) => {
        again_ms = AGAIN_MS;
        options.onProblem(error.code ?? 'serving', `the run's model is not served: ${error.message}`);
      })
      .finally(() => {
        loading = null;
        if (!closed) timer = clock.setTimeout(look, again_ms);
      });
  };
  if (!game.textModel) options.onProblem('serving', whyNothing(game));
  return {
    onView(view) {
      newest = view;
      if (game.textModel) look();
    },
    async close() {
      closed = true;
      clock.clearTimeout(timer);
      serving.serve(null);
      await loading;
      if (loaded) end(loaded);
      await Promise.all(ending);
    },
  };
}
