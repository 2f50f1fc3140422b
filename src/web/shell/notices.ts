// The browser's notifications while the page is hidden: a run has finished or stands still, or this tab has lost its hub.
import type { RunOverview } from '../../protocol/messages.ts';
import type { ContributionState } from '../tab/state.ts';
import { atWork } from './at-work.ts';
import { formatDuration, nameOf } from './format.ts';
import type { LiveLink } from './live.ts';

const LIMITS = {
  look_ms: 15_000,
  away_ms: 120_000, // a restarting hub is back long before
  stalled_least_ms: 600_000,
  stalled_rounds: 3,
} as const;
const KEY = 'potluck-notices';

/** What is known about a run that somebody wants notifications of. */
export interface Watched {
  readonly overview: Pick<RunOverview, 'name' | 'phase' | 'round' | 'round_ms' | 'judging_ms'>;
  /** When it entered this round. */
  readonly since_ms: number;
  readonly work: Pick<ContributionState, 'phase' | 'failure'> | null;
  /** When the tab's work entered this phase. */
  readonly work_since_ms: number;
}

/** The notifications for a run now; each kind is shown once until its cause is over. */
export function noticesOf(
  { overview, since_ms, work, work_since_ms }: Watched,
  now_ms: number,
): ReadonlyMap<string, string> {
  const notices = new Map<string, string>();
  const name = nameOf(overview.name);
  if (overview.phase === 'finished') notices.set('finished', `“${name}” is finished. Its model can be played with.`);
  const limit_ms = Math.max(LIMITS.stalled_least_ms, LIMITS.stalled_rounds * (overview.round_ms + overview.judging_ms));
  const still_ms = now_ms - since_ms;
  if (overview.phase !== 'finished' && overview.phase !== 'paused' && still_ms > limit_ms) {
    notices.set(
      'stalled',
      `“${name}” stands still: round ${overview.round} lasts for ${formatDuration(still_ms)} now.`,
    );
  }
  if (work?.phase === 'failed') {
    notices.set('dropped', `This tab has stopped working for “${name}”: ${work.failure?.message ?? 'it failed'}.`);
  } else if (work?.phase === 'away' && now_ms - work_since_ms > LIMITS.away_ms) {
    notices.set('dropped', `This tab has lost its hub, and tries to come back to “${name}”.`);
  }
  return notices;
}

/** Whether this browser has notifications, and whether its owner allows them. */
export function noticesAllowed(): NotificationPermission | 'absent' {
  return 'Notification' in globalThis ? Notification.permission : 'absent';
}

/** The runs that somebody wants notifications of. */
export function noticedRuns(): readonly string[] {
  try {
    return (localStorage.getItem(KEY) ?? '').split(' ').filter(Boolean);
  } catch {
    return [];
  }
}

/** Turns notifications of a run on or off. Asks for permission where that was never done. @returns whether there will be notifications */
export async function setNoticed(run: string, wanted: boolean): Promise<boolean> {
  const others = noticedRuns().filter((other) => other !== run);
  const may = wanted && (await Notification.requestPermission()) === 'granted';
  try {
    localStorage.setItem(KEY, [...others, ...(may ? [run] : [])].join(' '));
  } catch {
    return false; // a browser that stores nothing would not remember it
  }
  return may;
}

/** Watches those runs for as long as the page is open. */
export function watchForNotices(link: LiveLink): void {
  const rounds = new Map<string, { round: number; since_ms: number }>();
  const said = new Map<string, ReadonlySet<string>>();
  let work = { phase: '', since_ms: 0 };
  const look = (): void => {
    const now_ms = Date.now();
    const mine = atWork.get();
    if (mine && mine.state.phase !== work.phase) work = { phase: mine.state.phase, since_ms: now_ms };
    for (const run of noticedRuns()) {
      const overview = link.store.get().runs.get(run)?.overview;
      if (!overview) continue;
      const known = rounds.get(run);
      const present = known?.round === overview.round ? known : { round: overview.round, since_ms: now_ms };
      rounds.set(run, present);
      const state = mine?.run === run ? mine.state : null;
      const notices = noticesOf(
        { overview, since_ms: present.since_ms, work: state, work_since_ms: work.since_ms },
        now_ms,
      );
      // What was already so when the page was opened, or is visible, needs no notification.
      const before = said.get(run);
      for (const [kind, words] of notices)
        if (before && !before.has(kind) && document.hidden) void show(`${run} ${kind}`, words);
      said.set(run, new Set(notices.keys()));
    }
  };
  setInterval(look, LIMITS.look_ms);
  link.store.subscribe(look);
  atWork.subscribe(look);
}

async function show(tag: string, body: string): Promise<void> {
  if (noticesAllowed() !== 'granted') return;
  try {
    // Phones show notifications only through a service worker.
    const worker = await navigator.serviceWorker?.getRegistration();
    if (worker?.active) await worker.showNotification('Potluck', { body, tag });
    else new Notification('Potluck', { body, tag });
  } catch {
    // a browser that shows none without a service worker
  }
}
