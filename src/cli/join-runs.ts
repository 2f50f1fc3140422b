// How one process works for the runs that are wanted of it: one after another, or several at a time with shares of the time.
import { hostname } from 'node:os';
import type { PeerRole } from '../core/events/peer-joined.ts';
import { CodedError } from '../errors.ts';
import type { LoadGame } from '../games/registry.ts';
import { joinAnyRun } from '../peer/any-run.ts';
import { fetchStatus } from '../peer/find-run.ts';
import type { JoinOptions } from '../peer/peer.ts';
import type { Throttle } from '../peer/policy.ts';
import type { PeerNews } from '../peer/role.ts';
import { openTurns, type Turn } from '../peer/turns.ts';
import { systemClock } from '../protocol/clock.ts';
import type { RunHere } from './device-worker.ts';
import { lastWorked_ms, peerFolder } from './folders.ts';
import { CliError } from './output.ts';
import type { RunWish } from './run-wishes.ts';

/** How often the keeper hears what each of several runs has had. */
const TELL_EVERY_MS = 10_000;
/** How often what is set is looked at: a file that few change. */
const LOOK_EVERY_MS = 1000;

/** What differs from run to run. */
export type RunPart = Pick<JoinOptions, 'url' | 'run' | 'folder' | 'throttle' | 'signal' | 'loadGame' | 'onNews'>;

export interface TakePartOptions {
  readonly wishes: readonly RunWish[];
  /** A hub that is away, or a run that does not take this device now, is waited for: nobody is there to begin again. */
  readonly patient: boolean;
  readonly role: PeerRole;
  /** The folder that was named for the one peer that there is. */
  readonly folder: string | undefined;
  readonly owner: string;
  readonly throttle: Throttle;
  readonly signal: AbortSignal;
  readonly loadGame: LoadGame;
  /** What hears of one wish; `name` is set where there are several. */
  teller(wish: RunWish, isOneOfSeveral: boolean): (news: PeerNews) => void;
  /** A run is over, and the device goes on. */
  onEnd(run: string): void;
  onRuns(runs: readonly RunHere[]): void;
  join(part: RunPart): Promise<'finished' | 'left'>;
}

/** Works for what is wanted until all of it is over or the owner wants the device back. Throws what `join` throws. */
export async function takePart(options: TakePartOptions): Promise<'finished' | 'left'> {
  const { wishes, folder, throttle } = options;
  if (wishes.length > 1 && folder !== undefined) {
    throw new CliError(
      'bad-argument',
      '--folder is for one run: each of several has a folder of its own under ~/.potluck/peers',
    );
  }
  const { here, close } = tellRuns(options);
  const turns =
    wishes.length > 1
      ? openTurns(
          wishes.map(({ share }) => share),
          throttle,
          systemClock,
        )
      : [];
  try {
    const parts = wishes.map((wish, i) => follow(options, wish, here, turns[i]));
    if (parts.length === 1) return await parts[0];
    const ends = await Promise.allSettled(parts);
    if (options.signal.aborted) return 'left';
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed) throw failed.reason;
    return 'finished';
  } finally {
    close();
  }
}

/** As takePart, of runs that may change: what is at hand is handed in, and the others begin. @param wanted null: what it was before */
export async function takePartOf(
  wanted: () => readonly RunWish[] | null,
  options: TakePartOptions,
): Promise<'finished' | 'left'> {
  for (let { wishes } = options; ; ) {
    let next: readonly RunWish[] | null = null;
    const changed = new AbortController();
    const look = (): void => {
      next = wanted();
      if (next && JSON.stringify(next) !== JSON.stringify(wishes)) changed.abort();
    };
    const timer = setInterval(look, LOOK_EVERY_MS);
    const signal = AbortSignal.any([options.signal, changed.signal]);
    const ended = await takePart({ ...options, wishes, signal }).finally(() => clearInterval(timer));
    if (!changed.signal.aborted || options.signal.aborted) return ended;
    wishes = next ?? wishes;
  }
}

/** The runs that parts of this device are in. */
type Here = Map<RunWish, { readonly run: string; name: string; readonly computed_ms: () => number }>;

async function follow(options: TakePartOptions, wish: RunWish, here: Here, turn: Turn | undefined) {
  const { wishes, role, signal, loadGame } = options;
  const { url, run: wanted } = wish;
  const isOneOfSeveral = wishes.length > 1;
  const tell = options.teller(wish, isOneOfSeveral);
  const joinOne = async (run: string | undefined, until: AbortSignal, onNews: (news: PeerNews) => void) => {
    const isTaken = run !== undefined && isIn(here, run);
    if (isTaken) return 'left'; // two parts have chosen at the same moment
    if (run !== undefined) here.set(wish, { run, name: run, computed_ms: () => turn?.computed_ms() ?? 0 });
    try {
      const { folder, release } = peerFolder(options.folder, role, run);
      const game: LoadGame = turn ? async (name, file) => turn.inTurn(await loadGame(name, file)) : loadGame;
      const throttle = turn?.throttle ?? options.throttle;
      try {
        return await options.join({ url, run, folder, throttle, signal: until, loadGame: game, onNews });
      } finally {
        release();
      }
    } finally {
      here.delete(wish);
      options.onRuns(runsHere(here));
    }
  };
  const onNews = (news: PeerNews): void => {
    if (news.type === 'joined') {
      here.set(wish, { run: news.run, name: news.run_name, computed_ms: () => turn?.computed_ms() ?? 0 });
      options.onRuns(runsHere(here));
    }
    tell(news);
  };
  if (!isOneOfSeveral && !options.patient && wanted !== null) return joinOne(wanted, signal, onNews);
  try {
    return await joinAnyRun({
      ...{ clock: systemClock, wanted: wanted ?? null, role, signal, onNews },
      device: `${options.owner} ${hostname()}`,
      isTaken: (run) => isIn(here, run),
      worked_ms: (run) => lastWorked_ms(options.folder, role, run),
      runs: async () => (await fetchStatus(url)).runs,
      async join(run, until, hear) {
        const ended = await joinOne(run, until, hear);
        if (ended === 'finished') options.onEnd(run);
        return ended;
      },
    });
  } catch (error) {
    // The others go on; what it was is told again when they are over.
    if (isOneOfSeveral && error instanceof CodedError)
      tell({ type: 'problem', code: error.code, message: error.message });
    throw error;
  }
}

const isIn = (here: Here, run: string): boolean => [...here.values()].some((one) => one.run === run);

function runsHere(here: Here): RunHere[] {
  const all = [...here];
  const shares = all.reduce((sum, [{ share }]) => sum + share, 0);
  const computed_ms = all.reduce((sum, [, one]) => sum + one.computed_ms(), 0);
  return all.map(([{ url, share }, one]) => {
    const had = computed_ms > 0 ? one.computed_ms() / computed_ms : 0;
    return { url, run: one.run, name: one.name, share: share / shares, had: all.length > 1 ? had : 1 };
  });
}

function tellRuns({ wishes, onRuns }: TakePartOptions): { readonly here: Here; close(): void } {
  const here: Here = new Map();
  const timer = wishes.length > 1 ? setInterval(() => onRuns(runsHere(here)), TELL_EVERY_MS) : undefined;
  timer?.unref();
  return { here, close: () => clearInterval(timer) };
}
