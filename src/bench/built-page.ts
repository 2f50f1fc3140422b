// A hub that serves a page built for the purpose, for benches and tests.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, type Plugin } from 'vite';
import { type Hub, openHub } from '../hub/hub.ts';
import { viteConfig } from '../web/vite-config.ts';

/** A hub in a folder of its own that serves one page. */
export interface PageHub {
  readonly hub: Hub;
  readonly folder: string;
  close(): Promise<void>;
}

/** Builds the page whose index.html is in `root` as the product's page is built, and serves it as the product's hub does. */
export async function servePageOf(root: string): Promise<PageHub> {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-page-'));
  const web = join(folder, 'web');
  const config = viteConfig(web);
  // Without the compression of files, which takes longer than everything else, and without the offline copy of the hub's own page.
  const left_out = ['potluck-packed', 'potluck-offline'];
  const plugins = (config.plugins as Plugin[]).filter(({ name }) => !left_out.includes(name));
  await build({ ...config, root, logLevel: 'error', plugins });
  const page = { folder: web };
  const hub = await openHub({ folder: join(folder, 'hub'), host: '127.0.0.1', port: 0, page });
  return {
    hub,
    folder,
    async close() {
      await hub.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
