// A hub that serves a page built for the purpose, for benches and tests.
import { existsSync, globSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { build, type Plugin } from 'vite';
import { type Hub, type HubOptions, openHub } from '../hub/hub.ts';
import { viteConfig } from '../web/vite-config.ts';

const ROOT = join(import.meta.dirname, '..', '..');
/** Pages built for the purpose: a build takes as long as a test of the page, and several files of tests want the same. */
const BUILT = join(ROOT, 'node_modules', '.cache', 'pages');

/** A hub in a folder of its own that serves one page. */
export interface PageHub {
  readonly hub: Hub;
  readonly folder: string;
  /** The files of the page. */
  readonly web: string;
  close(): Promise<void>;
}

/** Builds the page whose index.html is in `root` as the product's page is built, and serves it as the product's hub does, with what `more` says of it. */
export async function servePageOf(root: string, more: Partial<HubOptions> = {}): Promise<PageHub> {
  const web = await builtPage(root);
  const folder = mkdtempSync(join(tmpdir(), 'potluck-page-'));
  const page = { folder: web };
  const hub = await openHub({ folder: join(folder, 'hub'), host: '127.0.0.1', port: 0, page, ...more });
  return {
    hub,
    folder,
    web,
    async close() {
      await hub.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The folder of the built page: a new one unless nothing has changed since the last build. */
async function builtPage(root: string): Promise<string> {
  const sources = [join(ROOT, 'src'), root].flatMap((cwd) =>
    globSync('**/*.{ts,tsx,css,html,svg,png}', { cwd }).map((file) => statSync(join(cwd, file)).mtimeMs),
  );
  const newest_ms = Math.max(...sources, statSync(join(ROOT, 'package-lock.json')).mtimeMs);
  const web = join(BUILT, `${relative(ROOT, root).replaceAll(/[^a-z]+/g, '-')}-${newest_ms}`);
  if (existsSync(web)) return web;
  const made = `${web}.${process.pid}`;
  const config = viteConfig(made);
  // Without the compression of files, which takes longer than everything else, and without the offline copy of the hub's own page.
  const left_out = ['potluck-packed', 'potluck-offline'];
  const plugins = (config.plugins as Plugin[]).filter(({ name }) => !left_out.includes(name));
  await build({ ...config, root, logLevel: 'error', plugins });
  try {
    renameSync(made, web);
  } catch (error) {
    // Another process was quicker.
    if (!existsSync(web)) throw error;
    rmSync(made, { recursive: true, force: true });
  }
  return web;
}
