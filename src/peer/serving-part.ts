// The part of a session that serves: the run's present model, over the session's connection, within the rules of the device's owner.
import type { AnyGame, Device, TextModel } from '../games/game.ts';
import type { Clock } from '../protocol/clock.ts';
import type { RunView } from '../protocol/messages.ts';
import type { FromServingPeer } from '../protocol/serving-from-peer.ts';
import type { Engine } from '../serving/engine.ts';
import { openRunServer } from './run-server.ts';
import { openServing, type ServedModel, type Serving, type ServingTerms } from './serving.ts';

/** How a device serves. */
export interface ServeOptions extends ServingTerms {
  /** Whether it does nothing else: it does not join the run's rounds, and stays when the run is finished. */
  readonly only: boolean;
  /** Answers at the same time. */
  readonly places: number;
  openEngine(model: TextModel & { readonly hash: string }, places: number): Promise<Engine>;
}

export interface ServingPart extends Pick<Serving, 'hear' | 'welcome' | 'away'> {
  onView(view: RunView): void;
  /** The owner wants the device back, or not any more. */
  paused(isPaused: boolean): void;
  close(): Promise<void>;
}

interface Around {
  readonly serve: ServeOptions;
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
  const { clock, device, onProblem } = around;
  const { price_in, price_out, region, only } = serve;
  const serving = openServing({
    ...{ clock, send, price_in, price_out, region, onProblem },
    rested: async () => device.rested?.(),
    // Beside other work the rests are owed by that.
    worked: async () => (only ? device.progress({ amount: 0, numbers: {} }) : device.rested?.()),
  });
  const server = openRunServer({ ...around, serving, openEngine: serve.openEngine, places: serve.places });
  return {
    hear: (message) => serving.hear(message),
    welcome: () => serving.welcome(),
    away: () => serving.away(),
    onView: server.onView,
    paused(isPaused) {
      if (isPaused) serving.pause();
      else serving.resume();
    },
    async close() {
      await serving.close();
      await server.close();
    },
  };
}
