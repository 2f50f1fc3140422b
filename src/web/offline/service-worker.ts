// The service worker: when the hub is unreachable, the page opens from this browser's cache. It answers with files of the build only; data of
// the hub (its log, state and blobs) always comes from the hub.

/** Set by the build (offline/offline-files.ts): the files of the shell and of Play. */
declare const OFFLINE_BUILD: {
  readonly version: string;
  /** The script that the document begins with. */
  readonly entry: string;
  readonly files: readonly string[];
};

interface LifeEvent extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface FetchEvent extends Event {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}
declare const self: {
  addEventListener(type: 'install' | 'activate', listener: (event: LifeEvent) => void): void;
  addEventListener(type: 'fetch', listener: (event: FetchEvent) => void): void;
  skipWaiting(): Promise<void>;
};

const CACHE = `potluck-${OFFLINE_BUILD.version}`;
/** This build, and the one before it, because a page of that one may still be open. */
const BUILDS_KEPT = 2;
const DOCUMENT = '/';
/** Addresses whose document is the page; all others are the hub's own. */
const VIEW = /^\/(?:(?:r|ledger)(?:\/.*)?|start\/?)?$/;
/** Statuses with which a proxy answers for an unreachable hub. */
const AWAY = new Set([502, 504]);

async function install(): Promise<void> {
  const cache = await caches.open(CACHE);
  await cache.addAll(OFFLINE_BUILD.files);
  const document = await fetch(DOCUMENT, { headers: { accept: 'text/html' }, cache: 'no-cache' });
  const isOfThisBuild = document.ok && (await document.clone().text()).includes(OFFLINE_BUILD.entry);
  if (!isOfThisBuild) throw new Error(`the document is not the one of build ${OFFLINE_BUILD.version}`);
  await cache.put(DOCUMENT, document);
  await self.skipWaiting();
}

async function forgetOldBuilds(): Promise<void> {
  const builds = (await caches.keys()).filter((name) => name.startsWith('potluck-') && name !== CACHE);
  await Promise.all(builds.slice(0, Math.max(0, builds.length + 1 - BUILDS_KEPT)).map((name) => caches.delete(name)));
}

/** The hub's document; without the hub the cached one. */
async function documentFor(request: Request): Promise<Response> {
  const kept = async () => (await caches.open(CACHE)).match(DOCUMENT);
  try {
    const response = await fetch(request);
    return AWAY.has(response.status) ? ((await kept()) ?? response) : response;
  } catch (error) {
    const document = await kept();
    if (document) return document;
    throw error;
  }
}

/** A file with a hash in its name: the cached one is right. */
async function fileFor(request: Request): Promise<Response> {
  return (await caches.match(request.url, { ignoreVary: true })) ?? fetch(request);
}

self.addEventListener('install', (event) => event.waitUntil(install()));
self.addEventListener('activate', (event) => event.waitUntil(forgetOldBuilds()));
self.addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== 'GET' || origin !== location.origin) return;
  if (request.mode === 'navigate') {
    if (VIEW.test(pathname)) event.respondWith(documentFor(request));
  } else if (pathname.startsWith('/assets/')) event.respondWith(fileFor(request));
});
