// The names of a run's phases for people: in the page, and on the card of a shared link.
import type { RunView } from './messages.ts';

export const PHASE_WORDS: Readonly<Record<RunView['phase'], string>> = {
  gathering: 'waiting for devices',
  working: 'at work',
  judging: 'checking work',
  revealing: 'checking work',
  merging: 'merging',
  paused: 'paused',
  finished: 'finished',
};
