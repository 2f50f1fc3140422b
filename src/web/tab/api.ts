// Takes part from a web page: starts the tab's Worker, tells it what only the page can see, and publishes its state.
import type { PeerRole } from '../../core/events/peer-joined.ts';
import { openSandbox, type Sandbox } from '../sandbox/frame.ts';
import { type Answering, keepAnswering, readAnswering } from './answering.ts';
import { readLimits } from './limits.ts';
import type { FromTab, ToTab } from './messages.ts';
import { type ContributionState, FIRST_STATE, holdsWork, isOver, type PauseReason } from './state.ts';
import { watchSurroundings } from './surroundings.ts';

export interface ContributionOptions {
  /** The hub's address; usually location.origin. */
  readonly url: string;
  /** The run's id or the beginning of it; not needed where the hub has one unfinished run. */
  readonly run?: string;
  /** The device's name for others. */
  readonly name: string;
  /** Default: worker. */
  readonly role?: PeerRole;
  /** Default 'auto': the GPU where it computes right and is faster, otherwise WASM. */
  readonly runtime?: 'auto' | 'wasm' | 'webgpu';
  /** Threads of the WASM runtime. Default: the device's cores less one. */
  readonly threads?: number;
  /** The hash of a game's file that the owner has agreed to run in a sandbox. */
  readonly game_file?: string;
  /** Reasons to pause that the owner has overruled before. */
  readonly although?: readonly PauseReason[];
  /** Fires when the owner wants the device back; the same as stop(). */
  readonly signal?: AbortSignal;
}

/** A tab that takes part. */
export interface Contribution {
  readonly state: ContributionState;
  /** Calls back after every change until the returned function is called. */
  subscribe(onState: (state: ContributionState) => void): () => void;
  /** Submits what is done, leaves the run and frees everything. Resolves when nothing computes any more. */
  stop(): Promise<void>;
  /** Stops now: work that is not submitted yet is lost. */
  drop(): void;
  pause(): void;
  resume(): void;
  /** Lets it answer callers of the hub's pool beside its work, or not any more. It reads what they ask. */
  setAnswering(answering: Answering): void;
  /** Work although the battery is low or the connection metered. */
  overrule(reason: PauseReason): void;
}

/** How long a Worker may take to stop before it is terminated. */
const STOP_MS = {
  holding: 9000, // the last step, packing, sending; the peer's own limits are shorter
  empty: 300, // only a goodbye: there is nothing to submit
} as const;

/** Starts taking part. Never throws: errors are in the state. Only one tab of a browser works at a time. */
export function startContributing(options: ContributionOptions): Contribution {
  const { url, run, name, role = 'worker', runtime = 'auto', threads, although = [], game_file, signal } = options;
  let state = FIRST_STATE;
  const subscribers = new Set<(state: ContributionState) => void>();
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });

  // In one expression, because bundlers recognise this pattern.
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'potluck tab' });
  const tell = (message: ToTab): void => worker.postMessage(message);
  const show = (next: ContributionState): void => {
    state = next;
    for (const subscriber of subscribers) subscriber(state);
  };
  const sandboxes = new Map<number, Sandbox>();
  let stopping: Promise<void> | undefined;
  const finish = (): void => {
    if (!isOver(state.phase)) show({ ...state, phase: 'stopped', amount_per_second: 0 });
    worker.onmessage = null; // its late messages do not matter any more
    worker.terminate();
    for (const sandbox of sandboxes.values()) sandbox.end();
    surroundings.close();
    signal?.removeEventListener('abort', stop);
    end();
  };
  worker.onmessage = ({ data }: MessageEvent<FromTab>) => {
    if (data.type === 'ended') finish();
    else if (data.type === 'open-sandbox') sandboxes.set(data.sandbox, openSandbox(data.port));
    else if (data.type === 'end-sandbox') {
      sandboxes.get(data.sandbox)?.end();
      sandboxes.delete(data.sandbox);
    }
    // A late message of the Worker must not undo the stop.
    else if (!stopping || isOver(data.state.phase) || data.state.phase === 'handing-in') show(data.state);
    else show({ ...data.state, phase: 'stopping', amount_per_second: 0 });
  };
  worker.onerror = (event) => {
    const message = event.message || 'its Worker could not be started';
    show({ ...state, phase: 'failed', failure: { code: 'worker-failed', message } });
    finish();
  };

  tell({
    type: 'start',
    url: url.replace(/\/+$/, ''),
    run,
    name,
    role,
    runtime,
    threads: threads ?? readLimits().threads ?? undefined,
    game_file,
  });
  tell({ type: 'answering', ...readAnswering() });
  const surroundings = watchSurroundings((now) => tell({ type: 'surroundings', ...now }), although);

  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      if (isOver(state.phase)) return;
      tell({ type: 'stop' });
      const force = setTimeout(finish, holdsWork(state.phase) ? STOP_MS.holding : STOP_MS.empty);
      show({ ...state, phase: 'stopping', amount_per_second: 0 });
      await ended;
      clearTimeout(force);
    })();
    return stopping;
  };
  if (signal?.aborted) void stop();
  else signal?.addEventListener('abort', stop, { once: true });

  return {
    get state() {
      return state;
    },
    subscribe(onState) {
      subscribers.add(onState);
      onState(state);
      return () => void subscribers.delete(onState);
    },
    stop,
    drop: finish,
    pause: () => surroundings.setPaused(true),
    resume: () => surroundings.setPaused(false),
    setAnswering(answering) {
      keepAnswering(answering);
      tell({ type: 'answering', ...answering });
    },
    overrule: (reason) => surroundings.overrule(reason),
  };
}
