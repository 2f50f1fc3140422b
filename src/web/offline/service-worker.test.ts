// The service worker by itself: a build is kept whole or not at all, the hub's document comes first, and nothing that the hub knows is kept.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

type Listener = (event: object) => void;
const listeners = new Map<string, Listener>();
const kept = new Map<string, Map<string, Response>>();
let network: (path: string) => Response;

const pathOf = (request: string | Request): string =>
  new URL(typeof request === 'string' ? request : request.url, 'http://hub.example').pathname;
const fetched = async (request: string | Request): Promise<Response> => network(pathOf(request));

function cacheOf(name: string) {
  const files = kept.get(name) ?? new Map<string, Response>();
  kept.set(name, files);
  return {
    addAll: async (paths: string[]) => {
      for (const path of paths) files.set(path, await fetched(path));
    },
    put: async (path: string, response: Response) => void files.set(path, response),
    match: async (path: string) => files.get(path)?.clone(),
  };
}

/** What a browser has for a service worker. */
const BROWSER = {
  OFFLINE_BUILD: { version: 'now', entry: '/assets/main-2.js', files: ['/assets/main-2.js', '/assets/play-2.js'] },
  self: {
    addEventListener: (type: string, listener: Listener) => listeners.set(type, listener),
    skipWaiting: async () => {},
  },
  location: { origin: 'http://hub.example' },
  fetch: fetched,
  caches: {
    open: async (name: string) => cacheOf(name),
    keys: async () => [...kept.keys()],
    delete: async (name: string) => kept.delete(name),
    match: async (url: string) => {
      for (const files of kept.values()) if (files.has(pathOf(url))) return files.get(pathOf(url))!.clone();
      return undefined;
    },
  },
};
const own = Object.keys(BROWSER).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const);

// Other files may test in this process afterwards, with the real `fetch`.
after(() => {
  for (const [name, descriptor] of own) {
    if (descriptor) Object.defineProperty(globalThis, name, descriptor);
    else Reflect.deleteProperty(globalThis, name);
  }
});
before(async () => {
  Object.assign(globalThis, BROWSER);
  await import('./service-worker.ts');
});
beforeEach(() => {
  kept.clear();
  network = (path) => new Response(path === '/' ? '<script src="/assets/main-2.js">' : `the hub's ${path}`);
});

/** Resolves when the work of an event is done; rejects when it fails. */
const live = (type: 'install' | 'activate') =>
  new Promise((resolve, reject) => {
    listeners.get(type)!({ waitUntil: (work: Promise<unknown>) => work.then(resolve, reject) });
  });

/** What a request is answered with; null where the service worker keeps out of it. */
function ask(path: string, more: { mode?: string; method?: string; origin?: string } = {}): Promise<Response> | null {
  const { mode = 'cors', method = 'GET', origin = 'http://hub.example' } = more;
  let answer: Promise<Response> | null = null;
  const respondWith = (response: Promise<Response>): void => {
    answer = response;
  };
  listeners.get('fetch')!({ request: { url: origin + path, mode, method }, respondWith });
  return answer;
}
const away = (): never => {
  throw new TypeError('Failed to fetch');
};
const textOf = async (path: string, mode?: string) => (await ask(path, { mode }))?.text();

test('the document is the hub’s own; without the hub, and where a proxy says that it is away, the one that is kept', async () => {
  await live('install');
  network = () => new Response('a newer document');
  assert.equal(await textOf('/r/1/play', 'navigate'), 'a newer document');
  for (const down of [away, () => new Response('bad gateway', { status: 502 })]) {
    network = down;
    for (const path of ['/', '/r/1/play', '/ledger/3', '/start']) {
      assert.equal(await textOf(path, 'navigate'), '<script src="/assets/main-2.js">', path);
    }
  }
  network = () => new Response('not built yet', { status: 503 });
  assert.equal(await textOf('/', 'navigate'), 'not built yet');
});

test('what the hub knows, what is written, and what is not its own never goes through it', async () => {
  await live('install');
  for (const path of [
    '/status',
    '/log/checkpoint',
    '/blobs/00',
    '/runs/1',
    '/health',
    '/service-worker.js',
    '/card.png',
  ]) {
    assert.equal(ask(path), null, path);
    assert.equal(ask(path, { mode: 'navigate' }), null, path);
  }
  assert.equal(ask('/', { mode: 'navigate', method: 'POST' }), null);
  assert.equal(ask('/assets/main-2.js', { origin: 'http://elsewhere.example' }), null);
});

test('a file of the build is the one that is kept, another comes from the hub', async () => {
  await live('install');
  network = (path) => new Response(`new ${path}`);
  assert.equal(await textOf('/assets/play-2.js'), "the hub's /assets/play-2.js");
  assert.equal(await textOf('/assets/other-3.js'), 'new /assets/other-3.js');
});

test('a build whose document is of another build is not taken; without anything kept the failure is told', async () => {
  network = () => new Response('<script src="/assets/main-3.js">');
  await assert.rejects(live('install'), /not the one of build now/);
  network = away;
  await assert.rejects(live('install'), TypeError);
  await assert.rejects(ask('/', { mode: 'navigate' })!, TypeError);
});

test('of the builds before only the last is kept, and what others keep here stays', async () => {
  for (const name of ['potluck-1', 'elsewhere', 'potluck-2', 'potluck-3']) cacheOf(name);
  await live('install');
  await live('activate');
  assert.deepEqual([...kept.keys()], ['elsewhere', 'potluck-3', 'potluck-now']);
});
