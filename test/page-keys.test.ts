// API keys in the page, with a real hub: whoever runs it sees what was asked with all keys, a holder what was asked with its own, and no key is kept unasked.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { PAGE_FOLDER } from '../src/cli/page.ts';
import { systemClock } from '../src/protocol/clock.ts';
import { keysIn, makeKey } from '../src/serving/api/keys.ts';
import { openUsageBook } from '../src/serving/api/usage-book.ts';
import { hubHere } from './hub-here.ts';
import { checkLooks, pageBrowser } from './page-browser.ts';
import { skip } from './tab-browser.ts';

const UNLIMITED = { requests_per_minute: null, tokens_per_minute: null };

describe('API keys in the page', { skip, concurrency: false }, () => {
  const browser = pageBrowser();

  test('the operator sees all keys, a holder its own, and a reload forgets a key that nobody asked to keep', async (t) => {
    const [ada, bob] = [
      makeKey("Ada's laptop", UNLIMITED, 0, randomBytes),
      makeKey('diary', { ...UNLIMITED, owners: ['a'.repeat(64)] }, 0, randomBytes),
    ];
    const records = new Map([ada, bob].map(({ record }) => [record.hash, record]));
    const folder = mkdtempSync(join(tmpdir(), 'potluck-page-keys-'));
    const usage = openUsageBook(join(folder, 'usage.sqlite'), systemClock, assert.ifError);
    t.after(() => {
      usage.close();
      rmSync(folder, { recursive: true, force: true });
    });
    usage.add(ada.record.id, 'poems', { requests: 12, input_tokens: 3400, output_tokens: 870, errors: 1 });
    usage.add(ada.record.id, '', { requests: 2, too_many: 2 });
    const hub = await hubHere(t, {
      page: { folder: PAGE_FOLDER },
      api: { keys: keysIn(async () => records), owners: null, usage },
    });
    const local = hub.url.replace('127.0.0.1', 'localhost');

    await t.test('the operator', async () => {
      const page = await browser.open(t);
      await page.goto(`${local}/keys`);
      await page.getByRole('heading', { name: "Ada's laptop" }).waitFor();
      await page.getByText('12 requests · 3,400 tokens read · 870 written · 1 error').waitFor();
      await page.getByText('only for devices of aaaaaaaa: not used.').waitFor();
      await page.getByText('refused before it named a model').waitFor();
      await checkLooks(page, 'keys-all');
    });

    await t.test('a holder', async () => {
      const page = await browser.open(t);
      // Through a proxy, as from another machine.
      await page.route('**/v1/**', (route) =>
        route.continue({ headers: { ...route.request().headers(), 'x-forwarded-for': '10.0.0.7' } }),
      );
      await page.goto(`${local}/keys`);
      await page.getByText('Paste a key of this hub').waitFor();
      assert.equal(await page.getByText('poems').count(), 0);
      await checkLooks(page, 'keys-form');
      const useIt = async (keep: boolean): Promise<void> => {
        await page.getByLabel('API key').fill(ada.key);
        if (keep) await page.getByLabel('Keep it in this browser').check();
        await page.getByRole('button', { name: 'Use it' }).click();
        await page.getByText('12 requests · 3,400 tokens read').waitFor();
        assert.equal(await page.getByText('diary').count(), 0, 'nobody else');
      };
      const kept = (): Promise<string> => page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
      await useIt(false);
      assert.ok(!(await kept()).includes(ada.key));
      await page.reload();
      await page.getByText('Paste a key of this hub').waitFor();
      await useIt(true);
      await page.reload();
      await page.getByText('12 requests · 3,400 tokens read').waitFor();
      await page.getByRole('button', { name: 'Forget the key' }).click();
      await page.getByText('Paste a key of this hub').waitFor();
      assert.ok(!(await kept()).includes(ada.key));
    });
  });
});
