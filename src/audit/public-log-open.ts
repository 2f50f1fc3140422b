// Where a log lies decides how it is read: over HTTP from an address, else from a folder.
import type { PublicBlobs, PublicLog } from './public-log.ts';
import { folderBlobs, openFolderLog } from './public-log-folder.ts';
import { hubBlobs, openHubLog } from './public-log-http.ts';

/**
 * Opens a log for reading. Nothing is written there, and a hub at work on the folder is not disturbed.
 * @param where an address (http…) or a folder that holds hub.sqlite
 * @param hub the hub's id, where the reader knows it; else it is taken from the checkpoint's origin
 * Throws PublicLogError, AuditFailure `bad-checkpoint`.
 */
export async function openPublicLog(where: string, hub?: string): Promise<PublicLog> {
  return isAddress(where) ? openHubLog(where, hub) : openFolderLog(where, hub);
}

/** Only the blobs of such a place; `where` as in PublicLog. */
export function openPublicBlobs(where: string): PublicBlobs {
  return isAddress(where) ? hubBlobs(where) : folderBlobs(where);
}

/** Whether a log is read over HTTP from there. */
export function isAddress(where: string): boolean {
  return /^https?:\/\//i.test(where);
}
