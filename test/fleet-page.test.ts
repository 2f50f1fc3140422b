// The page of a simulated fleet in a real browser: it shows what it brings and what is opened, needs nothing else, and runs no text as code.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { CHROMIUM, launch, NO_GPU } from '../src/bench/chromium.ts';
import { parseFleet } from '../src/simulation/fleet/fleet.ts';
import { pageOf } from '../src/simulation/fleet/page.ts';
import { simulateFleet } from '../src/simulation/fleet/simulate.ts';

const ROOT = join(import.meta.dirname, '..');
const SCENARIOS = join(ROOT, 'src', 'simulation', 'fleet', 'scenarios');
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** Where pictures go; without it none are taken. */
const PICTURES = process.env.POTLUCK_PICTURES;
const SIZES = [360, 768, 1440] as const;
/** What a browser would take for the end of the script, and for markup. */
const EVIL = '</script><img src=x onerror=alert(1)> & "fleet"';

const folder = mkdtempSync(join(tmpdir(), 'potluck-fleet-page-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const resultOf = (name: string, days: number) => {
  const fleet = parseFleet(readFileSync(join(SCENARIOS, `${name}.json`), 'utf8'));
  return simulateFleet({ ...fleet, days, committee: { workers: 6, judges: 3, rounds: 4, skip: 1 } });
};

test('the command writes tables, the result as JSON and the page', () => {
  const [json, page] = [join(folder, 'result.json'), join(folder, 'page.html')];
  const args = ['src/simulation/main.ts', '--fleet', join(SCENARIOS, 'solar.json'), '--json', json, '--page', page];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^A fleet on the sun: /);
  assert.equal(JSON.parse(readFileSync(json, 'utf8')).type, 'fleet');
  assert.match(readFileSync(page, 'utf8'), /^<!doctype html>/);
});

test('a file that is no fleet is one line and exit code 2', () => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['src/simulation/main.ts', '--fleet', 'package.json'],
    { cwd: ROOT, encoding: 'utf8' },
  );
  assert.equal(status, 2);
  assert.equal(stdout, '');
  assert.match(stderr, /^[^\n]+: expected [^\n]+, got [^\n]+\n$/);
});

test('the page in a browser', { skip: CHROMIUM ? false : 'chromium is not installed' }, async (t) => {
  const browser = await launch([...NO_GPU]);
  t.after(() => browser.close());
  const file = join(folder, 'evil.html');
  writeFileSync(file, pageOf({ ...resultOf('clusters-near-users', 2), fleet: EVIL }));
  const other = join(folder, 'other.json');
  writeFileSync(other, JSON.stringify(resultOf('solar', 3)));
  const nonsense = join(folder, 'nonsense.json');
  writeFileSync(nonsense, '{"type":"fleet","version":7}');
  for (const scheme of ['light', 'dark'] as const) {
    for (const [i, width] of SIZES.entries()) {
      // Each size in one of the two; for pictures in both.
      if (!PICTURES && (scheme === 'dark') !== (i === 1)) continue;
      const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme });
      const page = await context.newPage();
      const errors: string[] = [];
      page.on('pageerror', (error) => errors.push(error.message));
      page.on('request', (request) => {
        if (!request.url().startsWith('file:')) errors.push(`asked for ${request.url()}`);
      });
      await page.goto(pathToFileURL(file).href);
      assert.equal(await page.textContent('h1'), EVIL);
      assert.equal(await page.locator('img').count(), 0, 'text is text');
      assert.equal(await page.locator('svg').count(), 7);
      assert.ok(
        await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
        `${width} px is wide enough`,
      );
      await page.evaluate(AXE);
      const found = await page.evaluate(async () => {
        const { violations } = await (
          globalThis as unknown as { axe: { run(): Promise<{ violations: { id: string }[] }> } }
        ).axe.run();
        return violations.map(({ id }) => id);
      });
      assert.deepEqual(found, [], `${scheme} ${width}`);
      if (PICTURES) await page.screenshot({ path: join(PICTURES, `fleet-${scheme}-${width}.png`), fullPage: true });
      if (width === SIZES[0]) await opensOthers(page, other, nonsense);
      assert.deepEqual(errors, []);
      await context.close();
    }
  }
});

async function opensOthers(page: import('playwright-core').Page, other: string, nonsense: string): Promise<void> {
  await page.getByRole('button', { name: 'Every hour' }).click();
  assert.equal(await page.locator('svg').count(), 8, 'with the loss');
  await page.setInputFiles('input[type=file]', nonsense);
  await page.waitForFunction(() => document.querySelector('#said')!.textContent !== '');
  assert.match(
    (await page.textContent('#said'))!,
    /^nonsense\.json: expected the JSON that --json writes; it is not a fleet of version 1$/,
  );
  await page.setInputFiles('input[type=file]', other);
  await page.waitForFunction(() => document.querySelector('h1')!.textContent === 'A fleet on the sun');
  assert.equal(await page.textContent('#said'), '');
}
