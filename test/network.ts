// Real potluck processes for whole-system tests: started on free ports in a folder of their own, awaited by what they say, all ended at the end.
import assert from 'node:assert/strict';
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, type TestContext } from 'node:test';
import { schemaOf } from '../src/cli/json-objects.ts';
import { firstIssue } from '../src/errors.ts';
import { observeHub } from '../src/peer/hub-observer.ts';
import type { RunStatus } from '../src/protocol/messages.ts';
import type { CommandAsked, CommandSaid } from './commands-process.ts';

const POTLUCK = join(import.meta.dirname, '..', 'bin', 'potluck.js');
const COMMANDS = join(import.meta.dirname, 'commands-process.ts');

export type Line = Record<string, unknown>;

/** A command: what it said, and what it will say. */
export interface Told {
  readonly lines: Line[];
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** The first line, past or future, that fits. Rejects when the process ends without it. */
  line(fits: (line: Line) => boolean): Promise<Line>;
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

/** A command in a process of its own. */
export interface Potluck extends Told {
  readonly process: ChildProcess;
}

/** A folder and processes that are gone when the test is over. */
export interface Network {
  readonly folder: string;
  /** Starts `potluck ARGS`. */
  start(...args: string[]): Potluck;
  /** Starts `potluck ARGS` with these lines on its standard input, which ends with them. */
  startWith(lines: readonly string[], ...args: string[]): Potluck;
  /** Runs `potluck ARGS`, a command that ends by itself, after those asked before, in one process for all of the file of tests. */
  ask(...args: string[]): Told;
  /** Starts a hub on a free port (or the given one) and resolves with its address. It serves no page unless a flag says so. */
  hub(port?: number, ...more: string[]): Promise<{ readonly url: string; readonly potluck: Potluck }>;
  /** Starts a worker or validator. */
  join(url: string, name: string, ...more: string[]): Potluck;
  /** The same in one process with all that join so, for tests that neither end nor measure it: each alone loads and compiles the same. */
  joinTogether(url: string, name: string, ...more: string[]): Told;
  /** Creates a run of a tiny model; resolves with its id. */
  createRun(url: string, ...more: string[]): Promise<string>;
}

/** Flags of a model that trains in milliseconds. */
export const TINY =
  '--layers 1 --width 16 --heads 2 --feed-forward 32 --context 16 --batch 4 --learning-rate 0.01'.split(' ');

/** What the model learns. */
export const TEXT = Array.from(
  { length: 900 },
  (_, i) => `Line ${i} of a text that repeats itself, as texts for tests do.`,
).join('\n');

/** Settings of a device that nothing about the machine that runs the tests holds up. */
export const ANYWHERE = {
  on_battery: true,
  on_metered: true,
  hottest_c: null,
  hottest_battery_c: null,
  foreign_cpu_percent_in_use: null,
  memory_percent_in_use: 90,
  least_free_memory_gb: 0,
  least_free_disk_gb: 0,
  cores_in_use: 1,
};

/**
 * `environment`: variables for every process beside those of the test. `within`: a command that runs the command that follows it, such as
 * in a namespace of its own; it gets the folder of the network as its last word before that.
 */
export function network(
  t: TestContext,
  environment: Readonly<Record<string, string>> = {},
  within: readonly string[] = [],
): Network {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-test-'));
  const text = join(folder, 'text.txt');
  writeFileSync(text, TEXT);
  const env = { ...process.env, ...environment, POTLUCK_HOME: join(folder, 'home') };
  const started: Potluck[] = [];
  const own = Object.keys(environment).length > 0 ? new CommandsProcess(env) : null;
  const asked: Told[] = [];
  let peers: CommandsProcess | null = null;
  t.after(async () => {
    for (const { process: child } of started) child.kill('SIGKILL');
    const over = [...asked, ...started].map(({ ended }) => ended);
    await Promise.all([...over, peers?.end()]);
    await own?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const begin = (args: readonly string[], input: string | null): Potluck => {
    const potluck = launch(args, env, within.length > 0 ? [...within, folder] : [], input);
    started.push(potluck);
    return potluck;
  };
  const start: Network['start'] = (...args) => begin(args, null);
  const ask: Network['ask'] = (...args) => {
    const told = (own ?? commandsOfFile()).ask(args, false, env.POTLUCK_HOME);
    asked.push(told);
    return told;
  };
  const joining = (url: string, name: string, more: readonly string[]): readonly string[] => [
    ...['join', url, '--name', name, '--folder', join(folder, name), '--alone', '--json'],
    ...more,
  ];
  return {
    folder,
    start,
    startWith: (lines, ...args) => begin(args, lines.map((line) => `${line}\n`).join('')),
    ask,
    async hub(port = 0, ...more) {
      const flags = more.length > 0 ? more : ['--no-page'];
      const potluck = start('hub', '--port', String(port), '--folder', join(folder, 'hub'), '--json', ...flags);
      const { url } = await potluck.line((line) => line.type === 'listening');
      return { url: String(url), potluck };
    },
    join: (url, name, ...more) => start(...joining(url, name, more)),
    joinTogether(url, name, ...more) {
      assert.equal(within.length, 0, 'commands that run within another have processes of their own');
      peers ??= new CommandsProcess(env);
      return peers.ask(joining(url, name, more), true);
    },
    async createRun(url, ...more) {
      // Whoever stays judges: most tests bring people who do not know each other.
      const flags = [...TINY, '--open', '--json', ...more];
      const potluck = ask('run', 'create', '--hub', url, '--data', text, ...flags);
      const { run } = await potluck.line((line) => line.type === 'created');
      return String(run);
    },
  };
}

let commands: CommandsProcess | null = null;
after(() => commands?.close());

/** Started by the first command: most of what one costs is the start. */
function commandsOfFile(): CommandsProcess {
  commands ??= new CommandsProcess(process.env);
  return commands;
}

function launch(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  within: readonly string[],
  input: string | null,
): Potluck {
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', POTLUCK];
  const [command, ...words] = [...within, ...node, ...args];
  const child = spawn(command, words, { env, stdio: [input === null ? 'ignore' : 'pipe', 'pipe', 'pipe'] });
  child.stdin?.end(input);
  const { told, out, err, end } = listen(args);
  child.stderr!.on('data', (chunk: Buffer) => err(chunk.toString()));
  createInterface({ input: child.stdout! }).on('line', out);
  child.on('close', (code, signal) => end(code ?? signal ?? -1));
  return { process: child, ...told };
}

/** Runs commands one after another, or at once; see commands-process.ts. */
class CommandsProcess {
  readonly #child: ChildProcess;
  readonly #over: Promise<number | NodeJS.Signals>;
  readonly #asked: ReturnType<typeof listen>[] = [];
  #under_way = 0;
  /** What the process has said of itself. */
  #own = '';

  constructor(env: NodeJS.ProcessEnv) {
    this.#child = fork(COMMANDS, [], { env, execArgv: ['--disable-warning=ExperimentalWarning'], silent: true });
    this.#child.stdout!.resume(); // all that commands say comes as messages
    this.#child.stderr!.on('data', (chunk: Buffer) => {
      this.#own += chunk;
    });
    const rests: string[] = [];
    this.#child.on('message', ({ id, stdout, stderr, code }: CommandSaid) => {
      const { out, err, end } = this.#asked[id];
      if (stderr !== undefined) err(stderr);
      if (stdout === undefined && code === undefined) return;
      const lines = ((rests[id] ?? '') + (stdout ?? '')).split('\n');
      rests[id] = lines.pop()!;
      for (const line of lines) out(line);
      if (code === undefined) return;
      if (rests[id] !== '') out(rests[id]);
      this.#under_way--;
      // The file of tests may be over: nothing waits for a process that only waits.
      if (this.#under_way === 0) this.#hold('unref');
      end(code);
    });
    this.#over = new Promise((resolve) => {
      this.#child.on('exit', (code, signal) => {
        for (const { err, end } of this.#asked) {
          err(this.#own);
          end(signal ?? code ?? -1);
        }
        resolve(signal ?? code ?? -1);
      });
    });
  }

  #hold(how: 'ref' | 'unref'): void {
    const { stdout, stderr, channel } = this.#child;
    this.#child[how]();
    channel?.[how]();
    for (const stream of [stdout, stderr]) (stream as Socket)[how]();
  }

  ask(args: readonly string[], at_once = false, home?: string): Told {
    // Nobody would answer, and the test would wait for ever.
    assert.ok(this.#child.connected, `the process of many commands has ended: ${this.#own}`);
    const heard = listen(args);
    const asked: CommandAsked = { id: this.#asked.push(heard) - 1, words: args, at_once, home };
    if (this.#under_way === 0) this.#hold('ref');
    this.#under_way++;
    this.#child.send(asked);
    return heard.told;
  }

  /** Resolves when the process has ended by itself: a command that left something open would keep it, as it would keep its own. */
  async close(): Promise<void> {
    // One that is cut off before its end leaves its own code as that of the process.
    await Promise.all(this.#asked.map(({ told }) => told.ended));
    this.#hold('ref');
    if (this.#child.connected) this.#child.disconnect();
    assert.equal(await this.#over, 0, 'the process of many commands');
  }

  /** Resolves when the process has ended: by itself where all its commands have, else at once. */
  async end(): Promise<void> {
    if (this.#under_way === 0) return this.close();
    this.#child.kill('SIGKILL');
    await this.#over;
  }
}

/** What a command says, as it comes. */
function listen(args: readonly string[]) {
  const lines: Line[] = [];
  let output = '';
  let errors = '';
  const waiting = new Set<() => void>();
  const stir = (): void => {
    for (const check of waiting) check();
  };
  let over = false;
  const { promise: ended, resolve: resolveEnded } = Promise.withResolvers<number | NodeJS.Signals>();
  const line: Told['line'] = (fits) =>
    new Promise((resolve, reject) => {
      const check = (): void => {
        const found = lines.find(fits);
        if (!found && !over) return;
        waiting.delete(check);
        const last = JSON.stringify(lines.slice(-3));
        if (found) resolve(found);
        else reject(new Error(`potluck ${args.join(' ')} ended without the line; last: ${last} ${errors}`));
      };
      waiting.add(check);
      check();
    });
  const told: Told = { lines, stdout: () => output, stderr: () => errors, line, ended };
  return {
    told,
    out(text: string): void {
      output += `${text}\n`;
      const value = parsed(text);
      if (args.includes('--json')) mustBeDocumented(value);
      lines.push(value);
      stir();
    },
    err(text: string): void {
      errors = (errors + text).slice(-4000);
    },
    end(code: number | NodeJS.Signals): void {
      over = true;
      resolveEnded(code);
      stir();
    },
  };
}

function parsed(text: string): Line {
  try {
    return JSON.parse(text);
  } catch {
    return { text };
  }
}

/** Names that are data, not fields: of files, of what became of work, of what a game measured, of what an error is about. */
const NAMED_BY_DATA = ['files', 'kinds', 'fates', 'evidence', 'details', 'settings'];

/** Every line of every process of the tests is as docs/json.md says. */
function mustBeDocumented(line: Line): void {
  const schema = schemaOf(String(line.type));
  assert.ok(schema, `no such JSON object in docs/json.md: ${JSON.stringify(line)}`);
  const { error } = schema.safeParse(line);
  assert.ok(!error, `not as docs/json.md says: ${JSON.stringify(line)}: ${error && firstIssue(error)}`);
  const check = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [name, field] of Object.entries(value)) {
      assert.match(name, /^([a-z][a-z0-9_]*|\d+)$/, JSON.stringify(line));
      if (!NAMED_BY_DATA.includes(name)) check(field);
    }
  };
  check(line);
}

/** Resolves with the run's status as soon as it fits. */
export function untilStatus(url: string, run: string, fits: (status: RunStatus) => boolean): Promise<RunStatus> {
  return new Promise((resolve) => {
    const observer = observeHub(url, (runs) => {
      const status = runs.find((candidate) => candidate.run === run);
      if (!status || !fits(status)) return;
      observer.close();
      resolve(status);
    });
  });
}
