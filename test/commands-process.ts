// One process that runs command after command, or many at once, as bin/potluck.js runs each: starting and loading cost more than most of them do.
import { AsyncLocalStorage } from 'node:async_hooks';
import { runCommandLine } from '../src/cli/command-line.ts';

/** What comes from the test, and what goes back: what the command said, then its exit code. */
export interface CommandAsked {
  readonly id: number;
  readonly words: readonly string[];
  /** Beside those that are under way, instead of after them. */
  readonly at_once: boolean;
  /** The folder of the person whose command it is; those at once are all of the person of the process. */
  readonly home?: string;
}
export interface CommandSaid {
  readonly id: number;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly code?: number;
}

/** The command that is under way here. */
const command = new AsyncLocalStorage<number>();
const own = { stdout: process.stdout.write, stderr: process.stderr.write };

for (const stream of ['stdout', 'stderr'] as const) {
  process[stream].write = ((chunk: string | Uint8Array, ...rest: unknown[]) => {
    const id = command.getStore();
    if (id === undefined) return own[stream].apply(process[stream], [chunk as string]);
    tell({ id, [stream]: typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString() });
    const [done] = rest.filter((one) => typeof one === 'function');
    if (done) queueMicrotask(done as () => void);
    return true;
  }) as typeof process.stdout.write;
}

// A test that has heard what it wanted may be over before the command is.
const tell = (said: CommandSaid): unknown => process.connected && process.send!(said);

async function runOne({ id, words, home }: CommandAsked): Promise<void> {
  if (home !== undefined) process.env.POTLUCK_HOME = home;
  await command.run(id, () => runCommandLine(words));
  tell({ id, code: Number(process.exitCode ?? 0) });
  process.exitCode = 0;
}

/** Each command listens for what would end its process. */
function forgetListeners(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.removeAllListeners(signal);
  process.stdout.removeAllListeners('error');
}

process.setMaxListeners(0);
process.stdout.setMaxListeners(0);
let last = Promise.resolve();
process.on('message', (asked: CommandAsked) => {
  if (asked.at_once) runOne(asked);
  else last = last.then(() => runOne(asked)).then(forgetListeners);
});
