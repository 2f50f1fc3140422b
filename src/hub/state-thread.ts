// The thread in which a hub checks and merges the work of this build's games. It asks the hub for blobs, and gives it those that it makes.
import { isMainThread, parentPort } from 'node:worker_threads';
import { openAsks } from '../games/host/asks.ts';
import { decodeParams } from '../games/params.ts';
import { loadGame } from '../games/registry.ts';
import type { FromStates, ToStates } from './state-host.ts';
import { carryOut, openedOnce } from './state-work.ts';

/** Games with their settings that are held open; a hub has few runs at work at a time. */
const OPEN_GAMES = 64;

function serve(): void {
  const port = parentPort!;
  const post = (message: FromStates, moved: ArrayBuffer[] = []): void => port.postMessage(message, moved);
  const asks = openAsks();
  const opened = openedOnce(OPEN_GAMES);

  const ask = <T>(order: number, what: { readonly fetch: string } | { readonly put: Uint8Array<ArrayBuffer> }) =>
    asks.ask<T>((number) => post({ type: 'ask', order, ask: number, ...what }, 'put' in what ? [what.put.buffer] : []));

  const begin = async ({ order, spec, what }: Extract<ToStates, { type: 'order' }>): Promise<void> => {
    try {
      const open = await opened(spec, async () => {
        const game = await loadGame(spec.game);
        return { game, params: await decodeParams(game, await ask<Uint8Array>(order, { fetch: spec.params })) };
      });
      const made = await carryOut(open, what, {
        fetch: (hash) => ask(order, { fetch: hash }),
        // A copy, because what is put may be a piece of a tensor, whose memory does not leave.
        put: (bytes) => ask(order, { put: new Uint8Array(bytes) }),
      });
      post({ type: 'done', order, made });
    } catch (error) {
      post({ type: 'failed', order, failure: asks.failureOf(error) });
    }
  };

  port.on('message', (message: ToStates) => {
    if (message.type === 'order') return void begin(message);
    if (message.type === 'given') return asks.given(message.ask, message.value);
    asks.notGiven(message.ask, message.failure);
  });
}

if (!isMainThread) serve();
