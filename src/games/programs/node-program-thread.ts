// The thread of Node in which programs run.
import { readFile } from 'node:fs/promises';
import { parentPort } from 'node:worker_threads';
import { openInterpreter } from './interpreter.ts';
import type { ProgramJob } from './program.ts';
import { answerJob } from './programs.ts';

const wasm = readFile(new URL(import.meta.resolve('@jitl/quickjs-wasmfile-release-sync/wasm')));
const run = wasm.then(openInterpreter);
run.catch(() => {}); // every job hears of it

parentPort?.on('message', (job: ProgramJob) => {
  void answerJob(run, job).then((answer) => parentPort!.postMessage(answer));
});
