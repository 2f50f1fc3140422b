// Asks the browser to keep the page's shell and what Play computes with, so that both open when the hub is away.

/** Resolves with whether the page will open without the hub; never rejects. */
export async function keepOffline(): Promise<boolean> {
  if (!('serviceWorker' in navigator)) return false; // not a secure context, or a browser that keeps nothing
  try {
    const registration = await navigator.serviceWorker.register('/service-worker.js');
    const fresh = registration.installing ?? registration.waiting;
    if (fresh) await settled(fresh);
    return registration.active !== null;
  } catch {
    return false; // a hub without it, or a browser whose owner does not want it
  }
}

/** Resolves when a service worker is at work, or has failed. */
function settled(worker: ServiceWorker): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (worker.state === 'activated' || worker.state === 'redundant') resolve();
    };
    worker.addEventListener('statechange', check);
    check();
  });
}
