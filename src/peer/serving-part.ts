// The part of a session that serves: the run's present model or a file of the owner's, over the session's connection, within the rules of the device's owner.
import type { AnyGame, Device, TextModel } from '../games/game.ts';
import type { Clock } from '../protocol/clock.ts';
import type { Identity } from '../protocol/identity.ts';
import type { RunView } from '../protocol/messages.ts';
import type { FromServingPeer } from '../protocol/serving-from-peer.ts';
import type { Engine } from '../serving/engine.ts';
import type { AskedPrice } from './asked-price.ts';
import { openRunServer, type RunServer } from './run-server.ts';
import type { ServedFile } from './served-file.ts';
import { openServing, type ServedModel, type Serving, type ServingOptions, type ServingTerms } from './serving.ts';
import type { TokenEnergy } from './token-energy.ts';

/** What an owner wants of serving, where that changes while the device takes part. */
export interface ServingWish {
  /** Answers at the same time; 0: none, and the model's memory is given back. */
  readonly places: number;
  /** It answers nobody for now; the model stays loaded. */
  readonly paused: boolean;
  readonly region: string | null;
}

/** How a device serves. */
export interface ServeOptions extends ServingTerms {
  /** Whether it does nothing else: it does not join the run's rounds, and stays when the run is finished. */
  readonly only: boolean;
  /** Answers at the same time. */
  readonly places: number;
  /** What it serves in place of the run's model. */
  readonly file?: ServedFile;
  openEngine(model: TextModel & { readonly hash: string }, places: number): Promise<Engine>;
  /** Tells what its owner wants from now on, at once and after each change, until what it gives back is called; missing: as it is here. */
  readonly wishes?: (hear: (wish: ServingWish) => void) => () => void;
  /** Rests as the owner's rules have it before an answer and after each token; missing: as the device rests beside other work. */
  readonly rested?: () => Promise<void>;
  readonly worked?: () => Promise<void>;
  readonly onAnswers?: ServingOptions['onAnswers'];
  /** Of a device that only serves: what its answers take. */
  readonly energy?: TokenEnergy;
  /** What it asks from moment to moment; missing: price_in and price_out. */
  readonly asks?: AskedPrice;
}

export interface ServingPart extends Pick<Serving, 'hear' | 'welcome' | 'away'> {
  onView(view: RunView): void;
  /** The owner wants the device back, or not any more. */
  paused(isPaused: boolean): void;
  close(): Promise<void>;
}

interface Around {
  readonly serve: ServeOptions;
  readonly identity: Identity;
  readonly clock: Clock;
  readonly game: AnyGame;
  readonly params: unknown;
  readonly device: Device;
  follow(view: RunView): Promise<unknown>;
  send(message: FromServingPeer): void;
  onServes(model: ServedModel): void;
  onProblem(code: string, message: string): void;
}

export function openServingPart({ serve, send, ...around }: Around): ServingPart {
  const { identity, clock, device, onProblem } = around;
  const { only, onAnswers, energy, asks } = serve;
  let wish: ServingWish = { places: serve.places, paused: false, region: serve.region };
  const rested = serve.rested ?? (async () => device.rested?.());
  const serving = openServing({
    ...{ identity, clock, send, onProblem, onAnswers, rested },
    ...(energy && { onToken: energy.wrote, onPrompt: energy.read, energy: energy.now }),
    ...(asks && { onUnpaid: asks.unpaid }),
    get price_in() {
      return asks?.now().input_micro ?? serve.price_in;
    },
    get price_out() {
      return asks?.now().output_micro ?? serve.price_out;
    },
    get region() {
      return wish.region;
    },
    // Beside other work the rests are owed by that.
    worked: serve.worked ?? (only ? async () => device.progress({ amount: 0, numbers: {} }) : rested),
  });
  let newest: RunView | null = null;
  let isPaused = false;
  let opened: { readonly server: RunServer; readonly places: number } | null = null;
  const closing = new Set<Promise<void>>();
  const end = ({ server }: NonNullable<typeof opened>): void => {
    serving.pause(); // what is being written is handed over before the model goes
    const closed = server.close().finally(() => closing.delete(closed));
    closing.add(closed);
    opened = null;
  };
  const look = (): void => {
    const { places } = wish;
    if (opened && opened.places !== places) end(opened);
    if (!opened && places > 0) {
      const { file, openEngine } = serve;
      const server = file
        ? openFileServer(serving, file, around.onServes)
        : openRunServer({ ...around, serving, openEngine, places });
      opened = { server, places };
      if (newest) opened.server.onView(newest);
    }
    if (isPaused || wish.paused || places === 0) serving.pause();
    else serving.resume();
  };
  look();
  const deaf = serve.wishes?.((next) => {
    wish = next;
    look();
  });
  return {
    hear: (message) => serving.hear(message),
    welcome: () => serving.welcome(),
    away: () => serving.away(),
    onView(view) {
      newest = view;
      opened?.server.onView(view);
    },
    paused(now) {
      isPaused = now;
      look();
    },
    async close() {
      deaf?.();
      await serving.close();
      if (opened) end(opened);
      await Promise.all(closing);
    },
  };
}

/** A file is served whatever the run is at; while its engine is gone, nothing is. */
function openFileServer(serving: Serving, { served, watch }: ServedFile, onServes: Around['onServes']): RunServer {
  const unwatch = watch((isUp) => serving.serve(isUp ? served : null));
  onServes(served);
  return {
    onView() {},
    async close() {
      unwatch();
      serving.serve(null);
    },
  };
}
