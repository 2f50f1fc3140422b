// How much of this device a tab may take, and when: what its owner has set, kept in this browser.

export interface Limits {
  /** Part of the time that is worked, in hundredths: after each step the tab rests for the rest. */
  readonly duty_percent: number;
  /** null: as many as the device is good for. */
  readonly threads: number | null;
  /** From this hour of the day to that one, by this device's clock; null: at any time. */
  readonly hours: { readonly from: number; readonly to: number } | null;
  readonly only_charging: boolean;
}

export const NO_LIMITS: Limits = { duty_percent: 100, threads: null, hours: null, only_charging: false };

const KEY = 'potluck-limits';
const listeners = new Set<() => void>();
let known: Limits | null = null;

/** What is set now. Strange or missing: no limits. */
export function readLimits(): Limits {
  known ??= parse(keptText());
  return known;
}

export function setLimits(limits: Limits): void {
  known = limits;
  try {
    localStorage.setItem(KEY, JSON.stringify(limits));
  } catch {
    // it holds for this visit
  }
  for (const listener of listeners) listener();
}

/** Hears of changes here and in other tabs of this browser. Returns what ends it. */
export function watchLimits(listener: () => void): () => void {
  const elsewhere = ({ key }: StorageEvent): void => {
    if (key !== KEY) return;
    known = null;
    listener();
  };
  listeners.add(listener);
  addEventListener('storage', elsewhere);
  return () => {
    listeners.delete(listener);
    removeEventListener('storage', elsewhere);
  };
}

function keptText(): string {
  try {
    return localStorage.getItem(KEY) ?? '';
  } catch {
    return '';
  }
}

/** Exported for its test. */
export function parse(text: string): Limits {
  let kept: Partial<Record<keyof Limits, unknown>>;
  try {
    kept = Object(JSON.parse(text));
  } catch {
    return NO_LIMITS;
  }
  const whole = (value: unknown, least: number, most: number): number | null =>
    Number.isInteger(value) && Number(value) >= least && Number(value) <= most ? Number(value) : null;
  const hours = Object(kept.hours) as { from?: unknown; to?: unknown };
  const [from, to] = [whole(hours.from, 0, 23), whole(hours.to, 0, 23)];
  return {
    duty_percent: whole(kept.duty_percent, 1, 100) ?? NO_LIMITS.duty_percent,
    threads: whole(kept.threads, 1, 256),
    hours: from === null || to === null ? null : { from, to },
    only_charging: kept.only_charging === true,
  };
}
