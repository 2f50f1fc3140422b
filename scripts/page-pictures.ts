// Makes docs/page-run.png and docs/page-ledger.png: runs the demo for real and takes pictures of its page in Chromium.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';
import { observeHub } from '../src/peer/hub-observer.ts';

const ROOT = join(import.meta.dirname, '..');
const ROUNDS = Number(process.argv[2] ?? 24);
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
const FLAGS = '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking'.split(' ');
/** Small enough for a README; two pixels a point would be four times as large. */
const WINDOW = { width: 1180, height: 945 };
const AUDIT_MS = 300_000;

const folder = mkdtempSync(join(tmpdir(), 'potluck-pictures-'));
const args = [join(ROOT, 'bin', 'potluck.js'), 'demo', '--json', '--rounds', String(ROUNDS), '--folder', folder];
const demo = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
const url = await new Promise<string>((resolve, reject) => {
  createInterface({ input: demo.stdout }).on('line', (text) => {
    const line = JSON.parse(text);
    if (line.type === 'hub') resolve(line.url);
  });
  demo.once('exit', () => reject(new Error('the demo ended before its hub was there')));
});

/** Resolves when two thirds of the rounds are merged and devices train. */
await new Promise<void>((resolve) => {
  const observer = observeHub(url, ([run]) => {
    const training = run?.peers.filter((peer) => peer.progress?.state === 'working').length ?? 0;
    if (!run || run.round < (ROUNDS * 2) / 3 || training < 2) return;
    observer.close();
    resolve();
  });
});
const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
const page = await browser.newPage({ viewport: WINDOW });
await page.goto(url);
await page.locator('.canvas .ink-model').waitFor();
await page.locator('.peer-state', { hasText: 'working' }).first().waitFor();
await page.screenshot({ path: join(ROOT, 'docs', 'page-run.png') });
await page.goto(`${url}/ledger`);
await page.getByRole('button', { name: 'Audit everything' }).click();
await page.locator('.audit .verdict').waitFor({ timeout: AUDIT_MS });
await page.screenshot({ path: join(ROOT, 'docs', 'page-ledger.png') });
await browser.close();
const ended = new Promise((resolve) => demo.once('exit', resolve));
demo.kill('SIGINT');
await ended;
rmSync(folder, { recursive: true, force: true });
console.log('docs/page-run.png docs/page-ledger.png');
