// Which run a person means: by its name, or by the beginning of its id, long enough that a slip of the hand meets none.
import { nameOf } from './shown-name.ts';

/** One digit would mean one of sixteen runs: whoever mistypes a number must not join one. */
export const FEWEST_DIGITS = 4;
/** More runs than this are no help in one line. */
const LISTED = 8;

export interface KnownRun {
  readonly id: string;
  readonly name: string;
  readonly finished: boolean;
}

/**
 * The one run that a word means: of several with that name the one that goes on; without a word the only one that goes on, or the
 * only one there is. Otherwise a sentence that says what was expected and what there is.
 */
export function runMeant<R extends KnownRun>(
  runs: readonly R[],
  wanted: string | undefined,
  whose: 'the hub' | 'the log',
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

/** The runs that go on, by name; of those that are finished, how many. */
function listed(live: readonly KnownRun[], finished: number): string {
  const more = live.length > LISTED ? [`${live.length - LISTED} more`] : [];
  const over = finished > 0 ? [`${finished} finished`] : [];
  const parts = [...live.slice(0, LISTED).map(shown), ...more, ...over];
  return parts.join(', ') || 'none';
}
