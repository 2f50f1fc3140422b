// The blobs of a run that a joiner, a follower or a validator of the open round still needs. A hub must keep these whatever the owner says.
import type { RunState } from '../state.ts';

/** What each blob is, and its hash. */
export function neededBlobs(run: Pick<RunState, 'spec' | 'checkpoint' | 'recent' | 'submissions'>): [string, string][] {
  return [
    ['the settings', run.spec.params],
    ...(run.spec.game_file ? [['the game', run.spec.game_file] satisfies [string, string]] : []),
    ['the last checkpoint', run.checkpoint.model],
    ...optional('what steps left out until the last checkpoint', run.checkpoint.rest),
    ...run.recent.map(({ round, bundle }): [string, string] => [`the work of round ${round}`, bundle]),
    ...run.recent.flatMap(({ round, step }) => optional(`the step of round ${round}`, step)),
    ...[...run.submissions.values()].map(({ id, body }): [string, string] => [`submission ${id}`, body.work]),
  ];
}

const optional = (what: string, hash: string | null): [string, string][] => (hash === null ? [] : [[what, hash]]);
