// The service worker: when the hub is away, the page opens from what this browser keeps. It answers with files of the build only; what the
// hub knows (its log, state and blobs) always comes from the hub.

/** Set by the build (offline/offline-files.ts): what the shell and Play consist of. */
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
/** This build, and the one before it: a page of that may still be open. */
const BUILDS_KEPT = 2;
const DOCUMENT = '/';
/** Addresses whose document is the page; all others are the hub's own. */
const VIEW = /^\/(?:(?:r|ledger)(?:\/.*)?|start\/?)?$/;
/** What a proxy answers for a hub that is away. */
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

/** The hub's document; without the hub the one that is kept. */
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

/** A file whose name has its hash: the one that is kept is the right one. */
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
