// The pool's view in a real Chromium, with a real hub and a real device that serves: what is shown was measured, and the pool writes in Play what
// this browser writes for the same seed.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Fleet } from '../src/protocol/fleet.ts';
import { network } from './network.ts';
import { checkAccessibility, checkLooks, checkWidths, pageBrowser, pageHub, picture } from './page-browser.ts';
import { createPoems } from './served-run.ts';
import { skip } from './tab-browser.ts';

/** Many devices in many places, as a hub would tell of them. */
function manyDevices(): Fleet {
  const regions = ['eu-west', 'eu-central-1', 'us-east', 'us-west-2', 'jp', 'in', 'br', 'za', 'au', 'a shed', null];
  const rows = regions.flatMap((region, i) =>
    Array.from({ length: 1 + (i % 3) }, (_, j): Fleet['rows'][number] => ({
      ...{ device: (16 * i + j + 1).toString(16).padStart(64, 'c'), model: 'b'.repeat(64), name: 'poems' },
      ...{ quantisation: 'f32', engine: 'own', chat: true, tools: false, region, writing: j % 2, places: 2 },
      ...{ tokens_per_second: i === 4 ? null : 12 * (i + 1) + j, round_trip_ms: 20 + 9 * i, leases: 40, well: 39 },
      ...{ judged: 6, refused: 0, price_in: 0, price_out: 0, doubted: i === 7, unpaid: null },
      energy: i % 2 ? { how: i === 3 ? 'stated' : 'measured', joules: 0.4 + i / 3 } : null,
    })),
  );
  const day = (of: (i: number) => number): number[] => Array.from({ length: 144 }, (_, i) => Math.round(of(i)));
  return {
    ...{ devices: rows.length, answers: 5, rows },
    day: {
      tokens: day((i) => 40_000 * (1.2 + Math.sin(i / 20))),
      answers: day((i) => 200 * (1.2 + Math.sin(i / 20))),
      no_room: day((i) => (i > 60 && i < 70 ? i - 60 : 0)),
      waiting: day((i) => (i > 55 && i < 72 ? 8 : i % 2)),
    },
  };
}

describe('the pool in the page', { skip, concurrency: false }, () => {
  const browser = pageBrowser();

  test('nobody serves, then a device does; Play has it write beside this browser, and both write the same', async (t) => {
    const net = network(t);
    const { url } = await net.hub(0, '--log-level', 'error');
    const run = await createPoems(url);
    const page = await browser.open(t);
    await page.goto(`${url}/pool`);
    await page.getByText('No device answers callers here now.').waitFor();
    await picture(page, 'pool-empty');

    const device = net.join(url, 'server', '--serve-only', '--serve-region', 'home');
    await device.line((line) => line.type === 'serves');
    await page.getByRole('heading', { name: 'home' }).waitFor();
    await page.getByText('One without a number has no place on the map').waitFor();
    await page.getByText('idle · takes 2 more · not measured yet').waitFor();

    await t.test('Play', async () => {
      await page.getByRole('link', { name: 'Let it write in Play' }).click();
      await page.waitForURL(`${url}/r/${run}/play`);
      await page.getByLabel('Who writes').selectOption({ label: 'the pool: poems' });
      await page.getByLabel('Beside it').selectOption('this browser');
      await page.getByLabel('Length').selectOption('60 tokens');
      await page.getByRole('button', { name: 'Let it write' }).click();
      await page.waitForFunction(() => document.querySelectorAll('.beside .written + p[role=status]').length === 2);
      const [pool, here] = await page.locator('.beside .written').allTextContents();
      assert.ok(pool.startsWith('The ') && pool.length > 4, pool);
      assert.equal(here, pool);
    });

    await t.test('a conversation with the same model', async () => {
      await page.getByLabel('Who writes').selectOption({ label: 'the pool: poems, in conversation' });
      assert.equal(await page.getByLabel('Beside it').count(), 0);
      await page.getByLabel('Say something').fill('Hello');
      await page.getByRole('button', { name: 'Say it' }).click();
      await page
        .locator('.turns .assistant')
        .getByText(/^Seed \d+\./)
        .waitFor();
      const [asked, answered] = await page.locator('.turns .words').allTextContents();
      assert.equal(asked, 'You: Hello');
      assert.ok(answered.length > 'The model: '.length, answered);
      assert.equal(await page.getByRole('alert').count(), 0);
      await page.getByLabel('Who writes').selectOption({ label: 'the pool: poems' });
      assert.equal(await page.locator('.beside .written').count(), 2, 'its texts are still there');
    });

    await t.test('its figures are there afterwards', async () => {
      await page.getByRole('link', { name: 'Who serves here' }).click();
      await page.getByText(/idle · takes 2 more · [\d.k]+ tokens\/s · \d+ ms away · \d+ of \d+ went well/).waitFor();
      await checkWidths(page, 'pool');
      await page.emulateMedia({ colorScheme: 'dark' });
      await picture(page, 'pool-dark');
      await checkAccessibility(page, 'the pool');
    });
  });

  test('many devices: their regions on a map and in a table, energy as what it is, and the last day', async (t) => {
    const page = await browser.open(t);
    await page.route('**/fleet', (route) => route.fulfill({ json: manyDevices() }));
    await page.goto(`${await pageHub(t)}/pool`);
    const table = page.getByRole('table');
    await table.waitFor();
    assert.equal(await table.getByRole('row').count(), 12, 'eleven regions and the head');
    const japan = table.getByRole('row', { name: 'jp' });
    assert.deepEqual(await japan.getByRole('cell').allTextContents(), ['5', '2', '0', '1', '4', '–']);
    const stated = table.getByRole('row', { name: 'us-west-2' });
    assert.match((await stated.textContent())!, /1\.4 J estimated/);
    assert.match((await table.getByRole('row', { name: 'a shed' }).textContent())!, /^–a shed/);
    assert.equal(await page.locator('svg circle').count(), 9);
    await page.getByRole('img', { name: /^Refused for want of room \(429\): 45 requests$/ }).waitFor();
    await checkLooks(page, 'pool-many');
  });
});
