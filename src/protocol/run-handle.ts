// Resolves the run that a person names: by its name, or by the beginning of its id, which must be long enough to rule out typing errors.
import { nameOf } from './shown-name.ts';

/** One digit would match one run in sixteen, so a mistyped number could join a run. */
export const FEWEST_DIGITS = 4;
/** A longer list of runs would not help in one line. */
const LISTED = 8;

export interface KnownRun {
  readonly id: string;
  readonly name: string;
  readonly finished: boolean;
}

/**
 * The run that a word names. Of several runs with that name it is the one that goes on. Without a word it is the only run that goes on, or
 * the only run there is. Otherwise a sentence that says what was expected and what there is.
 */
export function runMeant<R extends KnownRun>(
  runs: readonly R[],
  wanted: string | undefined,
  whose: 'the hub' | 'the log' | 'the directory',
): R | string {
  const live = runs.filter(({ finished }) => !finished);
  const found = wanted === undefined ? anyOf(live, runs) : [...named(runs, wanted), ...begun(runs, wanted)];
  if (found.length === 1) return found[0];
  const there = `${whose} has ${listed(live, runs.length - live.length)}`;
  if (wanted === undefined) return `expected a run, by its name or the beginning of its id; ${there}`;
  if (/^[0-9a-f]{1,3}$/.test(wanted)) {
    return `expected a run's name, or at least ${FEWEST_DIGITS} digits of its id, got "${wanted}"; ${there}`;
  }
  if (found.length > 1) {
    return `expected one run, but ${found.length} have that name or begin with "${nameOf(wanted)}": ${found.map(shown).join(', ')}`;
  }
  return `expected a run whose name is, or whose id begins with, "${nameOf(wanted)}"; ${there}`;
}

const anyOf = <R>(live: readonly R[], all: readonly R[]): readonly R[] => (live.length > 0 ? live : all);

function named<R extends KnownRun>(runs: readonly R[], wanted: string): readonly R[] {
  const all = runs.filter(({ name }) => name === wanted);
  return anyOf(
    all.filter(({ finished }) => !finished),
    all,
  );
}

const begun = <R extends KnownRun>(runs: readonly R[], wanted: string): readonly R[] =>
  wanted.length < FEWEST_DIGITS ? [] : runs.filter(({ id, name }) => id.startsWith(wanted) && name !== wanted);

const shown = ({ id, name, finished }: KnownRun): string =>
  `${id.slice(0, 12)} (${nameOf(name)}${finished ? ', finished' : ''})`;

/** The names of the runs that go on, and how many others are finished. */
function listed(live: readonly KnownRun[], finished: number): string {
  const more = live.length > LISTED ? [`${live.length - LISTED} more`] : [];
  const over = finished > 0 ? [`${finished} finished`] : [];
  const parts = [...live.slice(0, LISTED).map(shown), ...more, ...over];
  return parts.join(', ') || 'none';
}
