// Both ends of a runtime's child process on Node: for kernels whose driver may end the process that calls it, and whose memory
// only the end of a process gives back.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { TensorMap } from './runtime.ts';
import type { WorkerPort } from './runtime-client.ts';
import type { Request, Response } from './runtime-messages.ts';
import type { OwnerPort } from './runtime-server.ts';

/** Starts `script` as a child process that gets `settings` as its first argument, in JSON, and `environment` beside the owner's. */
export function startNodeProcess(
  script: URL,
  settings: unknown,
  environment: Readonly<Record<string, string>> = {},
  onStart: (pid: number) => void = () => {},
): WorkerPort {
  const child = fork(fileURLToPath(script), [JSON.stringify(settings)], {
    execArgv: ['--disable-warning=ExperimentalWarning'], // the owner's flags (--test, --eval) are not the child's
    env: { ...process.env, ...environment },
    serialization: 'advanced', // typed arrays
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  if (child.pid !== undefined) onStart(child.pid);
  const lastWords = keepLastWords(child);
  let failure = '';
  child.on('error', (error) => {
    failure = error.message;
  });
  return {
    sharesMemory: false,
    send: (request) => {
      // A channel that has closed is told by 'exit'.
      if (child.connected) child.send(request, () => {});
    },
    onResponse: (handler) => {
      child.on('message', (response) => handler(withOwnArrays(response as Response)));
    },
    onEnd: (handler) => {
      const tell = (code: number | null, signal: string | null): void =>
        handler(`${failure || lastWords() || 'it ended by itself'} (${signal ?? `exit code ${code}`})`);
      child.once('exit', tell);
      // A child that could not be started never exits.
      child.once('error', () => child.pid === undefined && tell(null, 'not started'));
    },
    setBusy: (busy) => {
      const change = busy ? 'ref' : 'unref';
      child[change]();
      child.channel?.[change]();
      (child.stderr as unknown as { ref(): void; unref(): void } | null)?.[change]();
    },
    end: async () => {
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
      const ended = once(child, 'exit');
      child.ref();
      child.kill('SIGKILL'); // it holds nothing that anybody else needs
      await ended;
    },
  };
}

/** Arrays from a channel are views of one buffer, the whole message: whoever kept one would keep all. */
function withOwnArrays(response: Response): Response {
  if ('error' in response || response.answer === null || typeof response.answer === 'number') return response;
  const { id, answer } = response;
  if (answer instanceof Map) return { id, answer: new Map([...answer].map(([name, data]) => [name, data.slice()])) };
  const tensors = Object.entries(answer).map(([name, tensor]) => [name, { ...tensor, data: tensor.data.slice() }]);
  return { id, answer: Object.fromEntries(tensors) as TensorMap };
}

/** How much of what a child prints before it ends is told, in characters. */
const LAST_WORDS = 300;

function keepLastWords({ stderr }: ChildProcess): () => string {
  let words = '';
  stderr?.setEncoding('utf8').on('data', (more: string) => {
    words = (words + more).slice(-LAST_WORDS);
  });
  return () => words.trim().replaceAll(/\s+/g, ' ');
}

/** The settings that this child process was started with. */
export const settingsOfProcess = (): unknown => JSON.parse(process.argv[2]);

/** The child's side: ends when its owner has gone. */
export function processOwnerPort(): OwnerPort {
  // Not process.exit: handlers of a driver that run at the end may crash or hang.
  process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  return {
    send: (response) => {
      if (process.connected) process.send!(response, undefined, undefined, () => {});
    },
    onRequest: (handler) => {
      process.on('message', (request) => handler(request as Request));
    },
  };
}
