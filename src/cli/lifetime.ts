// When a command ends: at the first Ctrl-C or SIGTERM politely, at the second at once; a child ends with its parent.

/** A signal that fires when the command should finish. */
export function untilStopped(): AbortSignal {
  const controller = new AbortController();
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  process.on('SIGHUP', stop);
  // Started by `potluck demo` or a test with an IPC channel: without the parent there is nobody to work for.
  if (process.channel) {
    process.on('disconnect', () => controller.abort());
    process.channel.unref();
  }
  return controller.signal;
}

/** Resolves when the signal fires. */
export function fired(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
