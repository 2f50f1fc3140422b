// The thread in which a hub checks and merges the work of this build's games. It asks the hub for blobs, and gives it those that it makes.
import { isMainThread, parentPort } from 'node:worker_threads';
import { errorOf, failureOf } from '../games/host/wire.ts';
import { decodeParams } from '../games/params.ts';
import { loadGame } from '../games/registry.ts';
import type { FromStates, ToStates } from './state-host.ts';
import { carryOut, type OpenGame } from './state-work.ts';

/** Games with their settings that are held open; a hub has few runs at work at a time. */
const OPEN_GAMES = 64;

function serve(): void {
  const port = parentPort!;
  const post = (message: FromStates, moved: ArrayBuffer[] = []): void => port.postMessage(message, moved);
  const asks = new Map<number, { readonly given: (value: never) => void; readonly failed: (error: Error) => void }>();
  const from = new WeakMap<Error, number>();
  const games = new Map<string, Promise<OpenGame>>();
  let numbers = 0;

  const ask = <T>(order: number, what: { readonly fetch: string } | { readonly put: Uint8Array<ArrayBuffer> }) =>
    new Promise<T>((given, failed) => {
      asks.set(++numbers, { given, failed });
      post({ type: 'ask', order, ask: numbers, ...what }, 'put' in what ? [what.put.buffer] : []);
    });

  const open = (order: number, name: string, params: string): Promise<OpenGame> => {
    const key = `${name}:${params}`;
    let opened = games.get(key);
    if (!opened) {
      opened = (async () => {
        const game = await loadGame(name);
        return { game, params: await decodeParams(game, await ask<Uint8Array>(order, { fetch: params })) };
      })();
      opened.catch(() => games.delete(key));
      games.set(key, opened);
      if (games.size > OPEN_GAMES) games.delete(games.keys().next().value!);
    }
    return opened;
  };

  const begin = async ({ order, spec, what }: Extract<ToStates, { type: 'order' }>): Promise<void> => {
    try {
      const made = await carryOut(await open(order, spec.game, spec.params), what, {
        fetch: (hash) => ask(order, { fetch: hash }),
        // A copy, because what is put may be a piece of a tensor, whose memory does not leave.
        put: (bytes) => ask(order, { put: new Uint8Array(bytes) }),
      });
      post({ type: 'done', order, made });
    } catch (error) {
      post({
        type: 'failed',
        order,
        failure: failureOf(error, error instanceof Error ? (from.get(error) ?? null) : null),
      });
    }
  };

  port.on('message', (message: ToStates) => {
    if (message.type === 'order') return void begin(message);
    const asked = asks.get(message.ask)!;
    asks.delete(message.ask);
    if (message.type === 'given') return asked.given(message.value as never);
    const error = errorOf(message.failure);
    from.set(error, message.ask);
    asked.failed(error);
  });
}

if (!isMainThread) serve();
