// The page's files for a hub: dist/web, which a checkout builds when it is missing or older than its sources.
import { spawn } from 'node:child_process';
import { existsSync, globSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { tryLock } from './folders.ts';
import type { Output } from './output.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const SRC = join(ROOT, 'src');
const DIST = join(ROOT, 'dist');
const BUILD = join(SRC, 'web', 'build.ts');

/** The folder of the built page. */
export const PAGE_FOLDER = join(DIST, 'web');

/** Whether the page must be built: it is missing, or one of its possible sources is newer. */
export function isPageStale(folder = PAGE_FOLDER): boolean {
  const built = statSync(join(folder, 'index.html'), { throwIfNoEntry: false });
  if (!built) return true;
  const sources = globSync('**/*.{ts,tsx,css,html,svg,png}', { cwd: SRC }).filter((file) => !file.includes('.test.'));
  return sources.some((file) => statSync(join(SRC, file)).mtimeMs > built.mtimeMs);
}

/**
 * Builds the page if needed, in a process of its own, while the hub runs already. A failure is reported and stops nothing.
 * Returns a function that ends the build early.
 */
export function keepPageBuilt(output: Output, dist = DIST): () => void {
  try {
    return buildPage(output, dist);
  } catch (error) {
    notBuilt(output, error instanceof Error ? error.message : String(error));
    return () => {};
  }
}

function notBuilt(output: Output, why: string): void {
  const message = `The page could not be built; the hub works without it. ${why}`;
  output.say(message, { type: 'page', state: 'failed', message });
}

function buildPage(output: Output, dist: string): () => void {
  const folder = join(dist, 'web');
  if (!existsSync(BUILD) || !isPageStale(folder)) return () => {};
  const lock = tryLock(dist);
  if (!lock) return () => {}; // another hub of this checkout builds it
  output.say('Building the page, once; it takes a few seconds …', { type: 'page', state: 'building' });
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', BUILD, folder], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'], // the build ends when this process does
  });
  let lastWords = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    lastWords = (lastWords + chunk).slice(-2000);
  });
  let stopped = false;
  const end = (error: string | null): void => {
    lock.release();
    if (stopped) return;
    if (error === null) output.say('The page is built.', { type: 'page', state: 'built' });
    else notBuilt(output, error);
  };
  child.once('error', (error) => end(error.message));
  child.once('exit', (code) => end(code === 0 ? null : lastWords.trim()));
  return () => {
    stopped = true;
    child.kill();
  };
}
