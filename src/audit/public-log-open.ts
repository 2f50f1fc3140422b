// Opens a public log: over HTTP if its location is an address, otherwise from a folder of a hub or of a mirror.
import type { PublicBlobs, PublicLog } from './public-log.ts';
import { folderBlobs, openFolderLog } from './public-log-folder.ts';
import { hubBlobs, openHubLog } from './public-log-http.ts';
import { isMirrorFolder, mirrorFolderBlobs, openMirror } from './public-log-mirror.ts';

/**
 * Opens a log for reading. It writes nothing there, and does not disturb a hub that works on the folder.
 * @param where an address (http…), a folder that holds hub.sqlite, or a mirror's folder, which holds log/checkpoint
 * @param hub the hub's id, if the caller knows it; otherwise it is taken from the checkpoint's origin
 * Throws PublicLogError, AuditFailure `bad-checkpoint`.
 */
export async function openPublicLog(where: string, hub?: string): Promise<PublicLog> {
  if (isAddress(where)) return openHubLog(where, hub);
  return isMirrorFolder(where) ? openMirror(where, hub) : openFolderLog(where, hub);
}

/** Opens only the blobs there; `where` as in PublicLog. */
export function openPublicBlobs(where: string): PublicBlobs {
  if (isAddress(where)) return hubBlobs(where);
  return isMirrorFolder(where) ? mirrorFolderBlobs(where) : folderBlobs(where);
}

/** Whether the location is an address, so that the log is read over HTTP. */
export function isAddress(where: string): boolean {
  return /^https?:\/\//i.test(where);
}
