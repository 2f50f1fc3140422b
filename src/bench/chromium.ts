// Chromium for benches and tests: where it is, with and without a GPU, and a hub that serves a page built for the purpose.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { build, type Plugin } from 'vite';
import { type Hub, openHub } from '../hub/hub.ts';
import { viteConfig } from '../web/vite-config.ts';

export const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
);
const FLAGS = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
/** Without a GPU, as most servers are. */
export const NO_GPU = [...FLAGS, '--disable-gpu'];
/** With Chromium's own software GPU: slow, but it computes what a GPU would. */
export const SOFTWARE_GPU = [
  ...FLAGS,
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
];

export function launch(args: readonly string[]): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: [...args] });
}

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
  // Everything but the packing for slow lines, which takes longer than all the rest, and what is kept of the hub's own page.
  const left_out = ['potluck-packed', 'potluck-offline'];
  const plugins = (config.plugins as Plugin[]).filter(({ name }) => !left_out.includes(name));
  await build({ ...config, root, logLevel: 'error', plugins });
  const page = { folder: web, public_url: null };
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
