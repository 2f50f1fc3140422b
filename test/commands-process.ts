// One process that runs command after command as bin/potluck.js runs each: starting and loading cost more than most of them do.
import { runCommandLine } from '../src/cli/command-line.ts';

/** What comes from the test, and what goes back: what the command said, then its exit code. */
export interface CommandAsked {
  readonly id: number;
  readonly words: readonly string[];
}
export interface CommandSaid {
  readonly id: number;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly code?: number;
}

type Write = typeof process.stdout.write;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

async function runOne({ id, words }: CommandAsked): Promise<void> {
  // A test that has heard what it wanted may be over before the command is.
  const tell = (said: Omit<CommandSaid, 'id'>): unknown => process.connected && process.send!({ id, ...said });
  for (const stream of ['stdout', 'stderr'] as const) {
    process[stream].write = ((chunk: string | Uint8Array, ...rest: unknown[]) => {
      tell({ [stream]: typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString() });
      const [done] = rest.filter((one) => typeof one === 'function');
      if (done) queueMicrotask(done as () => void);
      return true;
    }) as Write;
  }
  await runCommandLine(words);
  tell({ code: Number(process.exitCode ?? 0) });
  process.exitCode = 0;
  // Each command listens for what would end its process.
  for (const signal of SIGNALS) process.removeAllListeners(signal);
  process.stdout.removeAllListeners('error');
}

let last = Promise.resolve();
process.on('message', (asked: CommandAsked) => {
  last = last.then(() => runOne(asked));
});
