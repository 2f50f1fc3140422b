// The thread in which a hub checks and merges the work of this build's games: it reads and writes the hub's folders by itself, and tells of each blob before it is there.
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { openAsks } from '../games/host/asks.ts';
import { failureOf } from '../games/host/wire.ts';
import { decodeParams } from '../games/params.ts';
import { loadGame } from '../games/registry.ts';
import { LedgerError } from '../ledger/errors.ts';
import { openFolderBlobStore } from '../ledger/folder-blob-store.ts';
import { HubError } from './errors.ts';
import { openNamedBlobs } from './named-place.ts';
import type { FromStates, StatePlaces, ToStates } from './state-host.ts';
import { carryOut, openedOnce, stateBlobs } from './state-work.ts';

/** Games with their settings that are held open; a hub has few runs at work at a time. */
const OPEN_GAMES = 64;

function serve(places: StatePlaces): void {
  const port = parentPort!;
  const post = (message: FromStates): void => port.postMessage(message);
  const asks = openAsks();
  const opened = openedOnce(OPEN_GAMES);
  const stores = Promise.all([openNamedBlobs(places.named, 'states'), openFolderBlobStore(places.present)]);
  stores.catch(() => {}); // every order says it

  const begin = async ({ order, spec, what }: Extract<ToStates, { type: 'order' }>): Promise<void> => {
    try {
      const [{ blobs: named }, present] = await stores;
      const blobs = stateBlobs({ named, present }, (hash, place) =>
        asks.ask((ask) => post({ type: 'putting', order, ask, hash, place })),
      );
      const open = await opened(spec, async () => {
        const game = await loadGame(spec.game);
        return { game, params: await decodeParams(game, await blobs.named(spec.params)) };
      });
      post({ type: 'done', order, made: await carryOut(open, what, blobs) });
    } catch (error) {
      const of = error instanceof LedgerError ? 'ledger' : error instanceof HubError ? 'hub' : null;
      post({ type: 'failed', order, failure: failureOf(error), of });
    }
  };

  port.on('message', (message: ToStates) => {
    if (message.type === 'order') void begin(message);
    else asks.given(message.ask, undefined);
  });
}

if (!isMainThread) serve(workerData as StatePlaces);
