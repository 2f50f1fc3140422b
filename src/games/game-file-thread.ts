// The thread in which a game's file is loaded for the first time: whatever it does when it is loaded, the thread can be ended.
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { CodedError } from '../errors.ts';
import { type Loaded, readGameFile } from './game-file.ts';

const tell = (loaded: Loaded): void => parentPort!.postMessage(loaded);

if (!isMainThread) {
  // Not awaited here: Node would warn on stderr of this file where the game's awaits what never comes.
  void readGameFile(workerData as string).then(
    ({ name }) => tell({ name }),
    (error) => tell({ failed: error instanceof CodedError ? error.message : String(error) }),
  );
}
