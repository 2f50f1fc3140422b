// When a command ends: gracefully at the first Ctrl-C or SIGTERM, at once at the second; a child process ends with its parent.

/** Set for the processes that `potluck demo` starts: without the parent they have nobody to work for. */
export const CHILD_MARK = 'POTLUCK_CHILD';
/** Its value for a process that `potluck join` keeps within the rules of the device's owner. */
export const KEPT = 'kept';

const LIMITS = {
  same_keypress_ms: 1000, // one Ctrl-C arrives several times: from the terminal, from npm, from a wrapper
  orphan_ms: 10_000, // what a child gets to end politely when its parent is gone
} as const;

/** A signal that fires when the command should finish. */
export function untilStopped(): AbortSignal {
  const controller = new AbortController();
  let stopped_ms = 0;
  const stop = (): void => {
    if (controller.signal.aborted && performance.now() - stopped_ms > LIMITS.same_keypress_ms) process.exit(130);
    if (!controller.signal.aborted) stopped_ms = performance.now();
    controller.abort();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  process.on('SIGHUP', stop);
  process.stdout.on('error', () => controller.abort()); // nobody reads any more
  if (process.env[CHILD_MARK]) {
    delete process.env[CHILD_MARK];
    const orphaned = (): void => {
      controller.abort();
      setTimeout(() => process.exit(1), LIMITS.orphan_ms).unref();
    };
    // The parent may be gone already.
    if (process.connected) process.on('disconnect', orphaned);
    else orphaned();
    process.channel?.unref();
  }
  return controller.signal;
}
