// Which run the links of a view lead to.
import type { Live } from './live.ts';
import type { Route } from './route.ts';

/** The run that the links lead to: the one that is shown, or the newest unfinished one. */
export function runOf(here: Route, live: Live): string | null {
  if ('run' in here) return here.run;
  const runs = [...live.runs.keys()].reverse();
  return runs.find((id) => live.runs.get(id)!.overview.phase !== 'finished') ?? runs[0] ?? null;
}
