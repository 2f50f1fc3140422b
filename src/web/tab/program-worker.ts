// The Worker of the tab in which programs run. It has the page's origin; the programs have the interpreter and nothing else.
import './no-eval.ts';
import wasmUrl from '@jitl/quickjs-wasmfile-release-sync/wasm?url';
import { openInterpreter } from '../../games/programs/interpreter.ts';
import type { ProgramJob } from '../../games/programs/program.ts';
import { answerJob } from '../../games/programs/programs.ts';

async function open(): ReturnType<typeof openInterpreter> {
  const response = await fetch(wasmUrl);
  if (!response.ok) throw new TypeError(`the interpreter could not be downloaded (${response.status})`);
  return openInterpreter(new Uint8Array(await response.arrayBuffer()));
}

const run = open();
run.catch(() => {}); // every job hears of it

globalThis.onmessage = ({ data }: MessageEvent<ProgramJob>) => {
  void answerJob(run, data).then((answer) => globalThis.postMessage(answer));
};
