// Asks the browser to store the page's shell and the code of Play, so that both open without the hub.

/** Resolves to whether the page will open without the hub; never rejects. */
export async function keepOffline(): Promise<boolean> {
  if (!('serviceWorker' in navigator)) return false; // not a secure context, or a browser that stores nothing
  try {
    const registration = await navigator.serviceWorker.register('/service-worker.js');
    const fresh = registration.installing ?? registration.waiting;
    if (fresh) await settled(fresh);
    return registration.active !== null;
  } catch {
    return false; // the hub has no service worker, or the browser's owner does not allow one
  }
}

/** Resolves when a service worker is active, or has failed. */
function settled(worker: ServiceWorker): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (worker.state === 'activated' || worker.state === 'redundant') resolve();
    };
    worker.addEventListener('statechange', check);
    check();
  });
}
