// How many files and sockets this process may have open, and how a hub divides them: some are reserved for its disk.

/** More sockets are never needed: twice the peers that a hub on two cores is designed for, and observers. */
const MOST_SOCKETS = 25_000;
/** How many of a hub's sockets may be peers, so that other requests still get one. */
export const CONNECTED_SHARE = 0.8;
/** For the log, the blobs that are read and written, and the system: a quarter, and at least these. */
const KEPT_BACK = { share: 4, least: 64 };
/** For a system without such a limit, as Windows, where sockets are not files. */
const UNSAID = 2 * MOST_SOCKETS;

export interface Descriptors {
  /** Sockets of the server, of all kinds. */
  readonly sockets: number;
  /** Blobs that may be read or written at once. */
  readonly files: number;
}

/** @param limit how many a process may have open */
export function divided(limit: number): Descriptors {
  const kept = Math.max(KEPT_BACK.least, Math.floor(limit / KEPT_BACK.share));
  return { sockets: Math.max(1, Math.min(MOST_SOCKETS, limit - kept)), files: Math.ceil(kept / 2) };
}

let ofThisProcess: Descriptors | undefined;

/** Those of this process. Node raises its own limit as far as possible when it starts. */
export function descriptorsHere(): Descriptors {
  ofThisProcess ??= divided(openFilesHere());
  return ofThisProcess;
}

/** How many files this process may have open. */
export function openFilesHere(): number {
  if (!process.report) return UNSAID;
  Object.assign(process.report, { excludeNetwork: true }); // resolving network names could need a name server
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft: number | string } } };
  const soft = userLimits?.open_files?.soft;
  return typeof soft === 'number' ? soft : UNSAID;
}
