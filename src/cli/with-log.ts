// Reads a public log for one command.
import { openPublicLog } from '#public-log-open';
import type { PublicLog } from '../audit/public-log.ts';

/** What `read` finds in the log of a hub, or of a hub's folder, which is closed afterwards. Throws what both throw. */
export async function withLog<T>(place: string, read: (log: PublicLog) => Promise<T>): Promise<T> {
  const log = await openPublicLog(place);
  try {
    return await read(log);
  } finally {
    log.close();
  }
}
