// A tab's part in a run, inside its Worker: keys, runtime, the peer's own session, pauses, and the state that the page shows.
import { openHubLog } from '../../audit/public-log-http.ts';
import { CodedError } from '../../errors.ts';
import type { Drawer } from '../../games/drawer.ts';
import type { AnyGame } from '../../games/game.ts';
import type { HostedGame } from '../../games/host/outside.ts';
import { decodeParams } from '../../games/params.ts';
import type { RunProgram } from '../../games/programs/program.ts';
import { isOfThisBuild } from '../../games/registry.ts';
import { openPeerBlobs, type PeerBlobs, type Transfer } from '../../peer/blobs.ts';
import { findRun } from '../../peer/find-run.ts';
import { joinFound } from '../../peer/join-found.ts';
import type { PeerNews } from '../../peer/role.ts';
import { fired, sleep, systemClock } from '../../protocol/clock.ts';
import type { Identity } from '../../protocol/identity.ts';
import type { RunOverview, RunStatus } from '../../protocol/messages.ts';
import type { AskPage } from '../sandbox/sandbox-port.ts';
import type { Answering } from './answering.ts';
import { browserSockets } from './browser-sockets.ts';
import { fetchWasm } from './fetch-wasm.ts';
import { gameOf } from './game-of.ts';
import { keepWork, readWorks } from './history.ts';
import { openDeviceKey, openOwnerKey } from './keys.ts';
import { checkMemory } from './memory.ts';
import type { StartMessage, Surroundings } from './messages.ts';
import { type Pace, watchPace } from './pace.ts';
import { openTabPrograms } from './programs.ts';
import { type ChosenRuntime, chooseRuntime, type StartedWasm, startWasm } from './runtime-choice.ts';
import { headsDrawer } from './seen-heads.ts';
import { openTabServing, type TabServing } from './serving.ts';
import { type ContributionState, FIRST_STATE, type HandedIn, holdsWork, isOver, type Phase } from './state.ts';
import { openTabStore, type TabStore } from './store.ts';
import { openTabBlobs, openTabCertificates, openTabDrawer, openTabReceipts } from './tab-storage.ts';
import { inTurn } from './turns.ts';
import { readVerdicts, type VerdictReader } from './verdicts.ts';

const LIMITS = {
  handed_in: 100, // shown; the log has them all
  refused: 20,
  retry_ms: 2000, // a hub that is away at the start
} as const;

export interface TabAtWork {
  look(now: Surroundings): void;
  /** Whether it may answer callers, from now on. */
  setAnswering(answering: Answering): void;
  /** Hands in what is done. */
  stop(): void;
  /** Resolves when everything is freed, for whatever reason the work has ended. */
  readonly ended: Promise<void>;
}

/** Takes part until the run is over, the owner says stop, or it fails for good. `onState` hears every change. */
export function contribute(
  start: StartMessage,
  askPage: AskPage,
  onState: (state: ContributionState) => void,
): TabAtWork {
  let state = FIRST_STATE;
  const stopping = new AbortController();
  /** Aborted when the tab must not work for now; another one takes its place when it may again. */
  let session = new AbortController();
  /** Whether a stretch of work goes on with `session`: until it has ended there is nothing to begin anew. */
  let inSession = false;
  /** What it would be at if it were not paused. */
  let beneath: Phase = 'starting';
  let resumed = () => {};

  /** A stop or a pause is not taken back by what was under way when it came. */
  const shownPhase = (phase: Phase): Phase => {
    if (isOver(phase) || phase === 'paused') return phase;
    if (phase !== 'pausing' && phase !== 'stopping') beneath = phase;
    // Once it sends, it has packed: nothing is left to compute.
    if (stopping.signal.aborted)
      return beneath === 'sending' || state.phase === 'handing-in' ? 'handing-in' : 'stopping';
    return session.signal.aborted && phase !== 'elsewhere' ? state.phase : phase;
  };
  const set = (change: Partial<ContributionState>): void => {
    const phase = shownPhase(change.phase ?? state.phase);
    // Its phases, for whoever looks at the browser's own timeline, and for `bench page`.
    if (phase !== state.phase) performance.mark(phase);
    state = { ...state, ...change, phase };
    onState(state);
  };
  const pace = watchPace(systemClock, () => set({ slowdowns: pace.slowdowns }));
  const serving = openTabServing(pace, (answering) => set({ answering }));

  const ended = (async () => {
    try {
      const finished = await takeTurns({ start, askPage, set, pace, serving, stop: stopping.signal, mayWork });
      set({ phase: finished ? 'finished' : 'stopped', amount_per_second: 0 });
    } catch (error) {
      const code = error instanceof CodedError ? error.code : 'unexpected';
      const message = error instanceof Error ? error.message : String(error);
      set({ phase: 'failed', failure: { code, message }, amount_per_second: 0 });
    } finally {
      pace.close();
    }
  })();

  /** Resolves once nothing forbids to work; with the signal of the stretch of work that may begin then. */
  async function mayWork(begins: boolean): Promise<AbortSignal> {
    inSession = false;
    while (state.pauses.length > 0 && !stopping.signal.aborted) {
      set({ phase: 'paused', amount_per_second: 0 });
      await new Promise<void>((resolve) => {
        resumed = resolve;
      });
    }
    if (session.signal.aborted) session = new AbortController();
    inSession = begins;
    return AbortSignal.any([session.signal, stopping.signal]);
  }

  return {
    look(now) {
      pace.look(now);
      serving.setHidden(now.hidden);
      if (now.pauses.join() === state.pauses.join()) return;
      const before = state.pauses.length;
      set({ pauses: now.pauses });
      if (now.pauses.length > 0 && before === 0) {
        if (!stopping.signal.aborted) {
          set({ phase: holdsWork(state.phase) ? 'pausing' : 'paused', amount_per_second: 0 });
        }
        session.abort();
      } else if (now.pauses.length === 0) {
        if (!inSession) session = new AbortController();
        if (state.phase === 'paused') set({ phase: beneath });
        resumed();
      }
    },
    setAnswering: serving.setAnswering,
    stop() {
      stopping.abort();
      set({ phase: 'stopping', amount_per_second: 0 });
      resumed();
    },
    ended,
  };
}

interface Turn {
  readonly start: StartMessage;
  readonly askPage: AskPage;
  readonly set: (change: Partial<ContributionState>) => void;
  readonly pace: Pace;
  readonly serving: TabServing;
  readonly stop: AbortSignal;
  readonly mayWork: (begins: boolean) => Promise<AbortSignal>;
}

/** One tab of a browser after the other. @returns whether the run is over. */
async function takeTurns(turn: Turn): Promise<boolean> {
  const { set, stop } = turn;
  const store = await openTabStore();
  set({ temporary: store.temporary });
  if (store.temporary) return work(turn, store); // two tabs that keep nothing have two keys
  return (
    (await inTurn(
      stop,
      () => set({ phase: 'elsewhere' }),
      () => work(turn, store),
    )) ?? false
  );
}

/** Everything that a stretch of work needs and that outlives it. */
interface Workplace {
  readonly identity: Identity;
  readonly owner: Identity;
  readonly hub: string;
  readonly view: RunStatus;
  readonly game: AnyGame;
  readonly params: unknown;
  readonly drawer: Drawer;
  readonly run: RunProgram;
  readonly blobs: PeerBlobs;
  readonly verdicts: VerdictReader;
}

async function work(turn: Turn, store: TabStore): Promise<boolean> {
  const { threads } = turn.start;
  await turn.mayWork(false); // nothing is fetched that is not wanted
  if (turn.stop.aborted) return false;
  const wasm = fetchWasm((loading) => turn.set({ loading })).then(() => startWasm(threads));
  wasm.catch(() => {}); // awaited when the run is known
  try {
    return await workWith(turn, store, wasm);
  } finally {
    await wasm.then(
      ({ runtime }) => runtime.close(),
      () => {}, // whoever waits for the runtime has heard why there is none
    );
  }
}

async function workWith(turn: Turn, store: TabStore, wasm: Promise<StartedWasm>): Promise<boolean> {
  const { start, set, stop } = turn;
  const { url } = start;
  const identity = await openDeviceKey(store);
  const owner = await openOwnerKey(store);
  set({ device: identity.id, owner: owner.id, phase: 'connecting' });
  const found = await untilThere(turn, () => findRun(url, start.run));
  if (!found) return false;
  const { hub, view } = found;
  const { name, unit, numbers } = view;
  set({ run: { id: view.run, name, unit, numbers }, phase: 'loading' });
  const blobs = openPeerBlobs({
    url,
    hub,
    identity,
    cache: openTabBlobs(store, systemClock.now_ms),
    patient: true,
    onTransfer: (transfer) => {
      const done = transfer.done_bytes === transfer.total_bytes;
      set(done ? { transfer: null, transfer_of: null } : { transfer, transfer_of: nameOfBlob(transfer, view) });
    },
  });
  const verdicts = await followWorks(store, { url, hub, run: view.run }, (handed_in) => set({ handed_in }));
  let chosen: ChosenRuntime | null = null;
  let hosted: HostedGame | null = null;
  const programs = openTabPrograms();
  try {
    hosted = await gameOf(turn, view, blobs.fetch);
    const { game } = hosted;
    const settings = await untilThere(turn, () => Promise.race([blobs.fetch(view.params), fired(stop)]));
    if (!settings) return false;
    const params = await decodeParams(game, settings);
    await checkMemory(game, params);
    // A stranger's graphs are run in WASM alone, not by the drivers of a GPU.
    const wanted = isOfThisBuild(view.game) ? start.runtime : 'wasm';
    chosen = await chooseRuntime({ wanted, wasm: await wasm, game, params });
    set({ runtime: chosen.about });
    performance.mark('runtime');
    const drawer = openTabDrawer(store, view.run, ({ message: why }) => {
      const message = `${why}: what it has learned is kept only until the tab closes`;
      set({ problem: { code: 'drawer-not-kept', message } });
    });
    const workplace = { identity, owner, hub, view, game, params, drawer, run: programs.run, blobs, verdicts };
    for (;;) {
      const signal = await turn.mayWork(true);
      if (stop.aborted) return false;
      if (await oneStretch(turn, store, workplace, chosen, signal)) return true;
    }
  } finally {
    hosted?.close();
    programs.close();
    blobs.close();
    // A stranger's graph may be under way for as long as it likes.
    await (isOfThisBuild(view.game) ? chosen?.runtime.close() : chosen?.runtime.end?.());
  }
}

/** Follows what becomes of this visit's work and of earlier work, and keeps it in the browser; `onChange` hears of this visit's. */
async function followWorks(
  store: TabStore,
  { url, hub, run }: { readonly url: string; readonly hub: string; readonly run: string },
  onChange: (works: readonly HandedIn[]) => void,
): Promise<VerdictReader> {
  const earlier = (await readWorks(store, run).catch(() => [])).filter(({ outcome }) => outcome === 'open');
  const before = new Set(earlier.map(({ submission }) => submission));
  const kept = new Set<HandedIn>(earlier);
  const verdicts = readVerdicts(url, hub, LIMITS.handed_in, earlier, () => {
    for (const work of verdicts.works) {
      if (kept.has(work)) continue;
      kept.add(work);
      keepWork(store, work).catch(() => {}); // the log has it
    }
    onChange(verdicts.works.filter(({ submission }) => !before.has(submission)));
  });
  return verdicts;
}

/** Work from a join to a leave. @returns whether the run is over. */
async function oneStretch(
  { start, set, pace, serving }: Turn,
  store: TabStore,
  { identity, owner, hub, view, game, params, drawer, run, blobs, verdicts }: Workplace,
  { runtime }: ChosenRuntime,
  signal: AbortSignal,
): Promise<boolean> {
  const { url, role, name } = start;
  set({ phase: 'connecting' });
  const tell = newsReader(set, view, verdicts, serving);
  const result = await joinFound({
    found: { hub, view },
    at: () => url,
    role,
    name,
    identity,
    owner: { identity: owner, certificates: openTabCertificates(store, identity.id) },
    game,
    params,
    // A fresh device each time: what games have loaded hangs on it, and the drawer has what they must not forget.
    device: { runtime, drawer, run, progress: (report) => unlessAborted(signal, pace.progress(report, serving.idle)) },
    serve: serving.optionsOn(runtime),
    transport: browserSockets(url),
    blobs,
    receipts: openTabReceipts(store, view.run),
    heads: { drawer: headsDrawer(store), log: () => openHubLog(url, hub) },
    signal,
    onNews: tell,
  });
  if (result !== 'finished') return false;
  await verdicts.look();
  return true;
}

/** Turns what the peer tells into what the page shows. */
function newsReader(
  set: Turn['set'],
  { run, unit }: RunOverview,
  verdicts: VerdictReader,
  serving: TabServing,
): (news: PeerNews) => void {
  let refused: ContributionState['refused'] = [];
  return (news) => {
    switch (news.type) {
      case 'joined':
        set({ phase: 'catching-up', problem: null });
        return;
      case 'progress': {
        const { state, round, amount, numbers, amount_per_second } = news.progress;
        const phase: Phase =
          state === 'catching up' ? 'catching-up' : state === 'working' || state === 'sending' ? state : 'waiting';
        set({ phase, round, amount, numbers, amount_per_second });
        if (phase === 'waiting') void verdicts.look();
        return;
      }
      case 'accepted': {
        const { submission, index, round, amount, size_bytes } = news;
        verdicts.add({ submission, index, run, round, amount, unit, size_bytes, verdicts: [], outcome: 'open' });
        return;
      }
      case 'refused': {
        const { round, code, message } = news;
        refused = [...refused.slice(1 - LIMITS.refused), { round, code, message }];
        set({ refused });
        return;
      }
      case 'obstacle':
        set({ obstacle: news.obstacle });
        return;
      case 'serves':
        serving.offered();
        return;
      case 'away':
        set({ phase: 'away', amount_per_second: 0 });
        return;
      case 'problem':
        if (news.code === 'key-in-use') set({ phase: 'key-in-use', amount_per_second: 0 });
        set({ problem: { code: news.code, message: news.message } });
        return;
      default: // a validator's own news is in the log
    }
  };
}

/** A rest ends when the owner wants the device back. */
function unlessAborted(signal: AbortSignal, rest: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      signal.removeEventListener('abort', end);
      resolve();
    };
    signal.addEventListener('abort', end);
    rest.then(end, reject);
    if (signal.aborted) end();
  });
}

/** What a blob is to somebody who waits for it. */
function nameOfBlob({ direction, hash }: Transfer, view: RunStatus): string {
  if (direction === 'up') return 'the work of this tab';
  if (hash === view.params) return "the run's settings";
  return hash === view.model ? 'the model' : 'model, text or what others have learned';
}

/** Asks again while the hub is away. Null when the owner has had enough. */
async function untilThere<T>({ set, stop }: Turn, ask: () => Promise<T>): Promise<T | null> {
  while (!stop.aborted) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof CodedError) || error.code !== 'hub-unreachable') throw error;
      set({ phase: 'away' });
      await unlessAborted(stop, sleep(systemClock, LIMITS.retry_ms));
    }
  }
  return null;
}
