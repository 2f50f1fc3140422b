// Which view of the page an address means: as the page writes it (web/shell/route.ts), as people type it, as the command line prints it.
import type { RunStatus } from '../protocol/messages.ts';

export type Address =
  /** A view of the page, of this run where it is about one. */
  | { readonly kind: 'view'; readonly run: RunStatus | null }
  /** Another address of a view, to which the hub redirects. */
  | { readonly kind: 'elsewhere'; readonly to: string }
  | { readonly kind: 'none' };

const VIEWS = /^\/(start|devices|pool|ledger(\/\d{1,15})?)?$/;
const RUN = /^\/r\/([0-9a-f]{4,64})(\/device|\/play)?$/;
/** What people type for a view that belongs to a run, and for the list of runs. */
const OF_SOME_RUN = /^\/(device|play)$/;
const OF_ALL_RUNS = /^\/(r|run|runs|home|index\.html)$/;

/** @param runs in order of creation */
export function addressOfView(path: string, runs: readonly RunStatus[]): Address {
  const bare = path.length > 1 ? path.replace(/\/+$/, '') : path;
  const found = withoutSlash(bare, runs);
  // Only to a known view, because an address that begins with two slashes would lead to another host.
  return found.kind === 'view' && bare !== path ? { kind: 'elsewhere', to: bare } : found;
}

function withoutSlash(path: string, runs: readonly RunStatus[]): Address {
  if (VIEWS.test(path)) return { kind: 'view', run: null };
  if (OF_ALL_RUNS.test(path)) return { kind: 'elsewhere', to: '/' };
  const view = OF_SOME_RUN.exec(path)?.[1];
  if (view) {
    const run = runs.findLast(({ phase }) => phase !== 'finished') ?? runs.at(-1);
    return { kind: 'elsewhere', to: run ? `/r/${run.run}/${view}` : '/' };
  }
  const [, beginning, of = ''] = RUN.exec(path) ?? [];
  const meant = beginning === undefined ? [] : runs.filter(({ run }) => run.startsWith(beginning));
  // A whole id always gets the view: the run may not have arrived yet, and the page says so if it does not exist.
  if (meant.length === 0 && beginning?.length === 64) return { kind: 'view', run: null };
  if (meant.length !== 1) return { kind: 'none' };
  const [run] = meant;
  return run.run === beginning ? { kind: 'view', run } : { kind: 'elsewhere', to: `/r/${run.run}${of}` };
}
