// Where this machine keeps how much each API key asked: beside the keys.
import { join } from 'node:path';
import { systemClock } from '../protocol/clock.ts';
import { openUsageBook, readUsage, type UsageBook, type UsageRow } from '../serving/api/usage-book.ts';
import { homeFolder } from './folders.ts';

const usageFile = (): string => join(homeFolder(), 'serve', 'usage.sqlite');

/** undefined where nothing can be kept, which stops nobody from asking; `onProblem` gets the reason, and what goes wrong later. */
export function openKeptUsage(onProblem: (error: unknown) => void): UsageBook | undefined {
  try {
    return openUsageBook(usageFile(), systemClock, onProblem);
  } catch (error) {
    onProblem(error);
    return undefined;
  }
}

/** What all keys were used for since a day; a server that runs has written all but the last seconds. Throws SQLite's error. */
export const usageSince = (since: string): UsageRow[] => readUsage(usageFile(), { key: null, since });
