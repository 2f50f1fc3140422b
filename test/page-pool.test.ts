// The pool's view in a real Chromium, with a real hub and a real device that serves: what is shown was measured, and the pool writes in Play what
// this browser writes for the same seed.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { network } from './network.ts';
import { checkAccessibility, checkWidth, pageBrowser, picture } from './page-browser.ts';
import { createPoems } from './served-run.ts';
import { skip } from './tab-browser.ts';

describe('the pool in the page', { skip, concurrency: false }, () => {
  const browser = pageBrowser();

  test('nobody serves, then a device does; Play has it write beside this browser, and both write the same', async (t) => {
    const net = network(t);
    const { url } = await net.hub(0, '--log-level', 'error');
    const run = await createPoems(net, url);
    const page = await browser.open(t);
    await page.goto(`${url}/pool`);
    await page.getByText('No device answers callers here now.').waitFor();
    await picture(page, 'pool-empty');

    const device = net.join(url, 'server', '--serve-only', '--serve-region', 'home');
    await device.line((line) => line.type === 'serves');
    await page.getByRole('heading', { name: 'home' }).waitFor();
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
      for (const width of [360, 768, 1440]) {
        await page.setViewportSize({ width, height: 900 });
        await checkWidth(page, `the pool at ${width}`);
        await picture(page, `pool-${width}`);
      }
      await page.emulateMedia({ colorScheme: 'dark' });
      await picture(page, 'pool-dark');
      await checkAccessibility(page, 'the pool');
    });
  });
});
