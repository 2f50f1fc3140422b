// The document in which a tab runs a stranger's game: an opaque origin, no network, and nothing in it but a Worker.
import { createHash } from 'node:crypto';
import type { Hono } from 'hono';

/** The address under which the page loads it (`web/sandbox/frame.ts`). */
const GAME_FRAME_PATH = '/game-frame';

/**
 * Starts a Worker from the text that the page sends, and passes it the page's port, through which the game itself comes. It is a classic
 * Worker: Chromium 156 never runs a module from a blob of an opaque origin in an isolated page; what it imports may be modules.
 */
const SCRIPT = `addEventListener('message', ({ data, ports }) => {
  const inside = URL.createObjectURL(new Blob([data], { type: 'text/javascript' }));
  new Worker(inside).postMessage(null, [ports[0]]);
}, { once: true });`;

/**
 * `sandbox` without `allow-same-origin` gives it an opaque origin: no storage, no cookies, no access to the page. `default-src 'none'`
 * denies the network, and a Worker from a blob inherits the policy of its creator. Scripts come from blobs only, which only it can make.
 */
const POLICY = [
  'sandbox allow-scripts',
  "default-src 'none'",
  `script-src 'sha256-${createHash('sha256').update(SCRIPT).digest('base64')}' blob:`,
  'worker-src blob:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'self'",
].join('; ');

/** Adds the frame to an app. */
export function serveGameFrame(app: Hono): void {
  app.get(GAME_FRAME_PATH, (c) =>
    c.html(`<!doctype html><meta charset="utf-8"><title>A game</title><script>${SCRIPT}</script>`, 200, {
      'content-security-policy': POLICY,
      'cross-origin-embedder-policy': 'require-corp',
      'cross-origin-resource-policy': 'same-origin',
      'permissions-policy': 'camera=(), geolocation=(), microphone=()',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-cache',
    }),
  );
}
