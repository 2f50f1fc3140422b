// The worker's side of a runtime: takes calls one after another and answers each once.
import { TensorError } from './errors.ts';
import type { Answer, Call, Request, Response } from './runtime-messages.ts';
import { type OrtModule, SessionProgram, type SessionSettings } from './session-program.ts';

/** The worker's end: worker_threads' parentPort, or the global scope of a browser's Worker. */
export interface OwnerPort {
  send(response: Response, transfer: ArrayBuffer[]): void;
  onRequest(handler: (request: Request) => void): void;
}

/** The buffers of an answer, which are transferred and not copied, because the worker does not use them again. */
function buffersOf(answer: Answer): ArrayBuffer[] {
  if (answer === null || typeof answer === 'number') return [];
  const arrays =
    answer instanceof Map ? [...answer.values()] : Object.values(answer as object).map((tensor) => tensor.data);
  return [...new Set(arrays.map((array) => array.buffer as ArrayBuffer))];
}

/** Serves one runtime until its worker ends. `ort` is a promise, so that a failure to load it answers every call. */
export function serveRuntime(port: OwnerPort, ort: Promise<OrtModule>, settings: SessionSettings): void {
  ort.catch(() => {}); // each call below reports it
  const programs = new Map<number, SessionProgram>();
  let lastProgram = 0;
  let queue: Promise<void> = Promise.resolve();

  async function answer(call: Call): Promise<Answer> {
    if (call.method === 'load') {
      const module = await ort.catch((error) => {
        throw new TensorError('unavailable', `ONNX Runtime cannot be loaded here: ${error.message}`);
      });
      lastProgram += 1;
      const owner = call.owner === undefined ? null : programs.get(call.owner);
      if (owner === undefined) throw new TensorError('closed', 'load: the program that holds the states is closed');
      programs.set(lastProgram, await SessionProgram.load(module, call.graph, settings, call.shared, owner));
      return lastProgram;
    }
    if (call.method === 'close') {
      for (const program of programs.values()) await program.close();
      programs.clear();
      return null;
    }
    const program = programs.get(call.program);
    if (program === undefined) throw new TensorError('closed', `${call.method}: the program is closed`);
    if (call.method === 'writeState') program.writeState(call.values);
    if (call.method === 'readState') return program.readState(call.names);
    if (call.method === 'run') return program.run(call.inputs, call.as_before);
    if (call.method === 'release') {
      programs.delete(call.program);
      await program.close();
    }
    return null;
  }

  async function handle({ id, call }: Request): Promise<void> {
    try {
      const value = await answer(call);
      port.send({ id, answer: value }, buffersOf(value));
    } catch (error) {
      const known =
        error instanceof TensorError ? error : new TensorError('run-failed', `${call.method}: ${String(error)}`);
      port.send({ id, error: { code: known.code, message: known.message, details: known.details } }, []);
    }
  }

  // One queue for all programs, because two sessions at once would only compete for the cores.
  port.onRequest((request) => {
    queue = queue.then(() => handle(request));
  });
}
