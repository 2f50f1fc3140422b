// An engine in a child process of its own: files of strangers, kernels that crash and memory that only the end of a process gives back stay there.
// Of an answer only its events cross over, a few at a time.
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { JudgingServer } from './answer-server.ts';
import type { AnswerEvent, AnswerRequest, OfferedModel } from './answers.ts';
import { type EngineSettings, type FromEngine, FromEngineSchema, type ToEngine } from './engine-process-messages.ts';
import { ServingError, unknownModel } from './errors.ts';
import { GIVES_BACK } from './freed-memory.ts';

const LIMITS = {
  ahead_events: 64, // what a child may write before its reader has taken it: a reader that is slow holds no memory
  more_events: 16, // told at a time, so that few messages go back
  close_ms: 5000, // then it is ended, whatever it is at
  last_words: 300,
  script_heap_mb: 1024, // vocabularies and logits; weights and caches are not in it
} as const;
/** Beside weights and cache: Node itself, the kernels' buffers. */
const SPARE_BYTES = 2 ** 30;

/** What a child gets of this program's environment: no passphrase. */
const ENVIRONMENT = [
  'PATH',
  'HOME',
  'USERPROFILE',
  'SYSTEMROOT',
  'TEMP',
  'TMP',
  'TMPDIR',
  'POTLUCK_HOME',
  'NODE_COMPILE_CACHE',
];

export interface EngineProcessOptions {
  /** The memory for weights and caches; on Linux the child cannot allocate more. Without it there is no limit but the machine's. */
  readonly memory_bytes?: number;
}

/** One model that a child serves. */
export interface EngineProcess extends JudgingServer {
  readonly model: OfferedModel;
  readonly class: string;
  /** Of all answers that are written at the same time. */
  readonly cache_tokens: number;
  /** The most answers at the same time. */
  readonly places: number;
  readonly pid: number;
  /** Resolves when the child has ended, with the reason; also when it was closed. */
  readonly ended: Promise<string>;
  setThreads(threads: number): void;
  /** Lets the child end by itself; ends it where it does not. */
  close(): Promise<void>;
}

/** Starts a child and has it load the model. Throws ServingError: what loading says, `engine-ended` where the child does not survive it. */
export async function openEngineProcess(
  settings: EngineSettings,
  { memory_bytes }: EngineProcessOptions = {},
): Promise<EngineProcess> {
  const child = startChild(memory_bytes);
  const link = new Link(child);
  try {
    const opened = await link.open(settings);
    return engineOver(link, opened, settings.places);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

function startChild(memory_bytes: number | undefined): ChildProcess {
  const script = fileURLToPath(new URL('./engine-process-child.ts', import.meta.url));
  const words = [...['--disable-warning=ExperimentalWarning', `--max-old-space-size=${LIMITS.script_heap_mb}`], script];
  const passed = ENVIRONMENT.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : []));
  const env = { ...Object.fromEntries(passed), ...GIVES_BACK };
  const options = { env, serialization: 'advanced', stdio: ['ignore', 'ignore', 'pipe', 'ipc'] } as const;
  if (memory_bytes === undefined || process.platform !== 'linux')
    return spawn(process.execPath, words, { ...options, stdio: [...options.stdio] });
  const kilobytes = Math.ceil((memory_bytes + SPARE_BYTES) / 1024);
  const limited = ['-c', 'ulimit -d "$0" && exec "$@"', String(kilobytes), process.execPath, ...words];
  return spawn('/bin/sh', limited, { ...options, stdio: [...options.stdio] });
}

type Said<Word extends FromEngine['say']> = Extract<FromEngine, { readonly say: Word }>;

/** What a child says once, where it writes no events. */
type Result = Said<'embedded'> | Said<'judged'>;

/** Who waits for what a child says about one request. */
interface Listener {
  hear(message: Said<'event'> | Said<'over'> | Result): void;
  end(error: ServingError): void;
}

/** The parent's end of the channel. */
class Link {
  readonly child: ChildProcess;
  readonly ended: Promise<string>;
  readonly #listeners = new Map<number, Listener>();
  #next_id = 0;
  #why_ended: string | null = null;
  #onOpened: ((message: Said<'opened'> | Said<'failed'>) => void) | null = null;

  constructor(child: ChildProcess) {
    this.child = child;
    const words = lastWords(child);
    const { promise, resolve } = Promise.withResolvers<string>();
    this.ended = promise;
    const end = (why: string): void => {
      if (this.#why_ended !== null) return;
      this.#why_ended = why;
      for (const { end } of this.#listeners.values()) end(this.#gone());
      this.#listeners.clear();
      resolve(why);
    };
    child.on('message', (message) => this.#hear(message));
    child.once('exit', (code, signal) => end(`${words() || 'it ended by itself'} (${signal ?? `exit code ${code}`})`));
    child.once('error', (error) => child.pid === undefined && end(error.message));
  }

  async open(settings: EngineSettings): Promise<Said<'opened'>> {
    const { promise, resolve, reject } = Promise.withResolvers<Said<'opened'> | Said<'failed'>>();
    this.#onOpened = resolve;
    void this.ended.then(() => reject(this.#gone()));
    this.send({ say: 'open', settings });
    const message = await promise;
    if (message.say === 'opened') return message;
    throw errorOf(message.error);
  }

  send(message: ToEngine): void {
    if (this.child.connected) this.child.send(message, () => {}); // one that is gone is heard of by its end
  }

  /** A number for a request, and what hears of it until `leave`. */
  ask(listener: Listener): number {
    if (this.#why_ended !== null) throw this.#gone();
    const id = this.#next_id++;
    this.#listeners.set(id, listener);
    return id;
  }

  leave(id: number): void {
    this.#listeners.delete(id);
  }

  #gone(): ServingError {
    return new ServingError('engine-ended', `the process of the engine has ended: ${this.#why_ended}`);
  }

  #hear(raw: unknown): void {
    const parsed = FromEngineSchema.safeParse(raw);
    if (!parsed.success) {
      this.child.kill('SIGKILL'); // no child of ours says such a thing
      return;
    }
    const message = parsed.data;
    if (message.say === 'opened' || message.say === 'failed') this.#onOpened?.(message);
    else this.#listeners.get(message.id)?.hear(message);
  }
}

function lastWords({ stderr }: ChildProcess): () => string {
  let words = '';
  stderr?.setEncoding('utf8').on('data', (more: string) => {
    words = (words + more).slice(-LIMITS.last_words);
  });
  return () => words.trim().replaceAll(/\s+/g, ' ');
}

const errorOf = ({ code, message, details }: Said<'failed'>['error']) => new ServingError(code, message, details);

function engineOver(link: Link, { model, class: kind, cache_tokens }: Said<'opened'>, places: number): EngineProcess {
  let closing: Promise<void> | null = null;
  const mustBe = (name: string): void => {
    if (name !== model.name) throw unknownModel(name);
  };
  return {
    ...{ model, class: kind, cache_tokens, places, pid: link.child.pid!, ended: link.ended },
    models: () => [model],
    answer(request, signal) {
      mustBe(request.model);
      return answerOver(link, request, signal);
    },
    async embed({ model: name, inputs }, signal) {
      mustBe(name);
      const copies = inputs.map((input) => (typeof input === 'string' ? input : [...input]));
      const { vectors, tokens } = await resultOver(link, 'embedded', { say: 'embed', inputs: copies }, signal);
      // Arrays from a channel are views of the whole message.
      return { vectors: vectors.map((vector) => vector.slice()), tokens };
    },
    async judge(task, signal) {
      mustBe(task.request.model);
      return (await resultOver(link, 'judged', { say: 'judge', task }, signal)).judged;
    },
    setThreads: (threads) => link.send({ say: 'threads', threads }),
    close() {
      closing ??= (async () => {
        link.send({ say: 'close' });
        const late = setTimeout(() => link.child.kill('SIGKILL'), LIMITS.close_ms);
        await link.ended;
        clearTimeout(late);
      })();
      return closing;
    },
  };
}

/** Asks for something that comes as one message. */
async function resultOver<Word extends Result['say']>(
  link: Link,
  word: Word,
  asked:
    | Omit<Extract<ToEngine, { readonly say: 'embed' }>, 'id'>
    | Omit<Extract<ToEngine, { readonly say: 'judge' }>, 'id'>,
  signal: AbortSignal,
): Promise<Said<Word>> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Said<Word>>();
  const id = link.ask({
    hear(message) {
      if (message.say === word) resolve(message as Said<Word>);
      else if (message.say === 'over' && message.error) reject(errorOf(message.error));
    },
    end: reject,
  });
  const abort = (): void => {
    link.send({ say: 'abort', id });
    reject(signal.reason);
  };
  signal.addEventListener('abort', abort);
  try {
    link.send({ ...asked, id });
    return await promise;
  } finally {
    signal.removeEventListener('abort', abort);
    link.leave(id);
  }
}

async function* answerOver(link: Link, request: AnswerRequest, signal: AbortSignal): AsyncGenerator<AnswerEvent, void> {
  signal.throwIfAborted();
  const events: AnswerEvent[] = [];
  /** How the child's work on it ended. */
  let over: { readonly error: ServingError | null } | null = null;
  let wake = (): void => {};
  const id = link.ask({
    hear(message) {
      if (message.say === 'event') events.push(message.event);
      else if (message.say === 'over') over = { error: message.error && errorOf(message.error) };
      wake();
    },
    end(error) {
      over ??= { error };
      wake();
    },
  });
  const news = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
    });
  const abort = (): void => {
    link.send({ say: 'abort', id });
    wake();
  };
  signal.addEventListener('abort', abort);
  let taken = 0;
  try {
    link.send({ say: 'answer', id, request });
    link.send({ say: 'more', id, events: LIMITS.ahead_events });
    while (!signal.aborted) {
      const event = events.shift();
      if (event) {
        yield event;
        taken++;
        if (taken % LIMITS.more_events === 0) link.send({ say: 'more', id, events: LIMITS.more_events });
      } else if (over === null) await news();
      else break;
    }
    signal.throwIfAborted();
    const { error } = over as unknown as { readonly error: ServingError | null };
    if (error) throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    // Its place is free for the next answer once the child has left it.
    if (over === null) link.send({ say: 'abort', id });
    while (over === null) await news();
    link.leave(id);
  }
}
