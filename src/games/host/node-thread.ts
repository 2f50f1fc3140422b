// A thread of Node in which a designer's game runs, from its file. It can be ended from outside whatever the game does.
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { CodedError } from '../../errors.ts';
import { readGameFile } from '../game-file.ts';
import { serveGame } from './inside.ts';
import type { FromGame, ToGame } from './wire.ts';

const post = (message: FromGame): void => parentPort!.postMessage(message);

function begin(path: string): void {
  // Not awaited: Node would warn on stderr of this file where the game's awaits what never comes.
  void readGameFile(path).then(
    (game) => {
      const hear = serveGame(game, post);
      parentPort!.on('message', (message: ToGame) => hear(message));
    },
    (error) => post({ type: 'no-game', message: error instanceof CodedError ? error.message : String(error) }),
  );
}

if (!isMainThread) begin(workerData as string);
