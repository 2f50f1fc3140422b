// `npm run build`: builds the page's files and moves them to dist/web as a whole, because a hub may be serving the old ones.
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build } from 'vite';
import { viteConfig } from './vite-config.ts';

const TARGET = process.argv[2] ?? join(import.meta.dirname, '..', '..', 'dist', 'web');

// A build that a hub has started ends with the hub.
process.once('disconnect', () => process.exit(1));
const fresh = `${TARGET}.${process.pid}.new`;
const old = `${TARGET}.${process.pid}.old`;
mkdirSync(dirname(TARGET), { recursive: true });
try {
  await build(viteConfig(fresh));
  if (existsSync(TARGET)) renameSync(TARGET, old);
  renameSync(fresh, TARGET);
} finally {
  rmSync(fresh, { recursive: true, force: true });
  rmSync(old, { recursive: true, force: true });
}
process.removeAllListeners('disconnect');
if (process.connected) process.disconnect();
