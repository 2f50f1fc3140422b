// Play in a real Chromium against a real hub: what is shown as written was written, nothing is forgotten by going elsewhere, and all of
// it goes on when the hub is away, after a reload too.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { Page } from 'playwright-core';
import type { Changes } from '../src/protocol/messages.ts';
import { exampleOverview } from '../src/protocol/testing/example-views.ts';
import type { AnswerServer } from '../src/serving/answers.ts';
import { listeningApi, smallServer } from '../src/serving/testing/small-server.ts';
import { tinyRun } from './hub-here.ts';
import { network } from './network.ts';
import {
  checkAccessibility,
  checkWidth,
  checkWidths,
  madeUpNews,
  pageBrowser,
  pageHub,
  picture,
} from './page-browser.ts';
import { skip } from './tab-browser.ts';

const SERVED = ['--public', 'https://potluck.example'];
const HASH = '7'.repeat(64);

/** Resolves with the newest text when it is whole. */
async function written(page: Page, number: number): Promise<string> {
  await page.waitForFunction((texts) => {
    const earlier = document.querySelectorAll('.earlier > details').length;
    const whole = document.querySelector('section[aria-label^=What] > .written + p[role=status]');
    return earlier === texts - 1 && whole !== null;
  }, number);
  return (await page.locator('.written').first().textContent()) ?? '';
}

/** The API over a model that really answers, as the pool of the page's hub: `texts` goes on with texts, `small` has conversations. */
async function poolBehind(page: Page, t: TestContext): Promise<void> {
  const server = await smallServer();
  const [small] = server.models();
  const pool: AnswerServer = {
    ...server,
    models: () => [small, { ...small, name: 'texts', chat: false }],
    answer: (request, signal) => server.answer({ ...request, model: 'small' }, signal),
  };
  const api = await listeningApi(pool);
  t.after(() => server.close());
  t.after(() => api.close());
  await page.route('**/v1/**', async (route) => {
    const path = new URL(route.request().url()).pathname.replace(/^\/v1/, '');
    await route.fulfill({ response: await route.fetch({ url: `${api.base_url}${path}` }) });
  });
}

describe('Play', { skip, concurrency: false }, () => {
  const browser = pageBrowser();

  test('a game without a model that writes, and a run that is not there, are said in words', async (t) => {
    const url = await pageHub(t);
    const page = await browser.open(t);
    const changes: Changes = {
      ...{ type: 'changes', whole: true, now_ms: Date.now(), events: 3, peers: [], history: [], samples: [] },
      runs: [exampleOverview({ run: HASH, game: 'tally', name: 'counting' })],
    };
    await madeUpNews(page, HASH, (tell) => tell(changes));
    await page.goto(`${url}/r/${HASH}/play`);
    await page.getByText('“counting” trains no model that writes: it plays tally.').waitFor();
    await page.goto(`${url}/r/${'6'.repeat(64)}/play`);
    await page.getByText('This hub has no such run.').waitFor();
  });

  test('the pool writes a text, another beside it, and answers in a conversation', async (t) => {
    const url = await pageHub(t);
    const run = await tinyRun(url);
    const page = await browser.open(t);
    await poolBehind(page, t);
    await page.goto(`${url}/r/${run}/play`);
    await page.getByLabel('Who writes').selectOption('the pool: texts');
    await page.getByLabel('Length').selectOption('60 tokens');
    await page.getByRole('button', { name: 'Let it write' }).click();
    const text = await written(page, 1);
    assert.ok(text.startsWith('The ') && text.length > 4, text);
    await page.getByText(/Seed 1, .*, written by the pool: texts\./).waitFor();
    await page.getByText('whoever it belongs to can read what you ask').waitFor();

    await t.test('this browser beside it', async () => {
      await page.getByLabel('Beside it').selectOption('this browser');
      await page.getByRole('button', { name: 'Write another' }).click();
      await page.waitForFunction(() => document.querySelectorAll('.beside .written + p[role=status]').length === 2);
      const origins = await page.locator('.beside .written + p').allTextContents();
      assert.match(origins[0], /Seed 2, .*by the pool/);
      assert.match(origins[1], /Seed 2, .*model /);
      await checkWidths(page, 'play-beside');
      await checkAccessibility(page, 'two texts');
    });

    await t.test('a conversation: an answer, and another one in its place', async () => {
      await page.getByLabel('Who writes').selectOption('the pool: small, in conversation');
      const words = page.getByLabel('Say something');
      await words.fill('Who are you?');
      await words.press('Enter');
      const turns = page.locator('.turns > li');
      await page.getByText(/^(It broke off\. )?Seed 3\. /).waitFor();
      const first = await turns.last().locator('.words').textContent();
      await page.getByRole('button', { name: 'Answer again' }).click();
      await page.getByText(/^Seed 4\. /).waitFor();
      assert.deepEqual(
        [await turns.count(), (await turns.last().locator('.words').textContent()) === first],
        [2, false],
      );
      await checkWidths(page, 'play-chat');
      await page.emulateMedia({ colorScheme: 'dark' });
      await picture(page, 'play-chat-dark');
      await checkAccessibility(page, 'a conversation');
      await page.getByRole('button', { name: 'New conversation' }).click();
      assert.equal(await turns.count(), 0);
    });
  });

  test('beyond the context, elsewhere and back, without the hub, and after a reload without it', async (t) => {
    const net = network(t);
    const { url, potluck } = await net.hub(0, ...SERVED);
    const run = await tinyRun(url); // 16 tokens of context
    const page = await browser.open(t);
    await page.goto(`${url}/r/${run}/play`);
    const prompt = page.getByLabel('Begin a text');
    const long = 'A beginning that is far longer than what the model holds. '.repeat(3);
    await prompt.fill(long);
    await page.getByLabel('Length').selectOption('60 tokens');
    await page.getByRole('button', { name: 'Let it write' }).click();
    const first = await written(page, 1);
    assert.ok(first.startsWith(long) && first.length > long.length, first);
    // A model that has learned nothing may end a text at any token.
    await page
      .getByText(
        /^(60|.* itself after \d+) tokens\. It sees 16 tokens at once, so it read only the last 16 of your 175 tokens\./,
      )
      .waitFor();
    await page.getByText(/parameters in 1 layer, 16 tokens of context/).waitFor();
    await page.getByText('both open without the hub, also after a reload').waitFor();

    await t.test(
      'what is typed later changes nothing of it; the next text has another seed and forgets none',
      async () => {
        await prompt.fill('ROMEO: ');
        assert.equal(await page.locator('.written').first().textContent(), first);
        await page.getByRole('button', { name: 'Write another' }).click();
        const second = await written(page, 2);
        assert.ok(second.startsWith('ROMEO: '), second);
        await page.getByText(/ tokens?\. Seed 2, /).waitFor();
        await page.locator('.earlier summary').click();
        assert.equal(await page.locator('.earlier .written').textContent(), first);
        await page.getByText('Seed and top-p').click();
        const box = await page.getByLabel('Again after every round').boundingBox();
        assert.ok(box!.width < 30, `a box of ${box!.width} pixels to tick, far from its words`);
        await page.setViewportSize({ width: 360, height: 740 });
        await checkWidth(page, 'play with an earlier text');
        await page.setViewportSize({ width: 1280, height: 900 });
        await checkAccessibility(page, 'play');
        await picture(page, 'play');
      },
    );

    await t.test('another view and back: the text, the beginning and the settings are there', async () => {
      const before = await page.locator('.written').first().textContent();
      await page.getByRole('link', { name: 'Run', exact: true }).click();
      await page.getByText(/waits for 1 worker/).waitFor();
      await page.getByRole('link', { name: 'Play' }).click();
      assert.equal(await page.locator('.written').first().textContent(), before);
      assert.equal(await prompt.inputValue(), 'ROMEO: ');
      assert.equal(await page.getByLabel('Length').inputValue(), '60');
    });

    await t.test(
      'the hub is killed: it writes, elsewhere and back too, and the same seed gives the same text',
      async () => {
        potluck.process.kill('SIGKILL');
        await page.getByText('The hub is away').waitFor();
        const before = await page.locator('.written').first().textContent();
        await page.getByRole('link', { name: 'Run', exact: true }).click();
        await page.getByRole('link', { name: 'Play' }).click();
        await page.getByText('Seed and top-p').click();
        const seed = page.getByLabel('Seed', { exact: true });
        await seed.fill('2');
        await prompt.dispatchEvent('input'); // the view is drawn anew, as it is for news of the hub
        await page.evaluate(() => new Promise(requestAnimationFrame));
        assert.equal(await seed.inputValue(), '2');
        await page.getByRole('button', { name: 'Write another' }).click();
        assert.equal(await written(page, 3), before);
      },
    );

    await t.test('reloaded while the hub is away it opens, and writes with the model that is kept', async () => {
      await page.reload();
      await page.getByText('The hub is away').waitFor();
      assert.equal(await page.evaluate(() => crossOriginIsolated), true);
      await page.getByRole('button', { name: 'Let it write' }).click();
      const text = await written(page, 1);
      assert.ok(text.startsWith('The ') && text.length > 4, text);
      await checkWidth(page, 'play without the hub');
      await checkAccessibility(page, 'play without the hub');
      await picture(page, 'play-offline');
    });

    await t.test('of a run that was never played with it says that it has nothing', async () => {
      await page.goto(`${url}/r/${'0'.repeat(64)}/play`);
      await page.getByRole('button', { name: 'Let it write' }).click();
      await page.getByText('The hub is away, and this browser has kept no model of this run.').waitFor();
      assert.equal(await page.getByRole('button', { name: 'Let it write' }).isEnabled(), true);
    });

    await t.test('what only the hub knows never comes from what is kept', async () => {
      const asked = await page.evaluate(async (id) => {
        const paths = ['/status', '/log/checkpoint', `/runs/${id}`, '/log/tile/entries/000'];
        return Promise.all(
          paths.map((path) =>
            fetch(path).then(
              (r) => r.status,
              () => 'away',
            ),
          ),
        );
      }, run);
      assert.deepEqual(asked, ['away', 'away', 'away', 'away']);
      const stored = await page.evaluate(async () => {
        const names = await caches.keys();
        const requests = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()));
        return requests.flat().map(({ url }) => new URL(url).pathname);
      });
      assert.ok(stored.length > 5);
      for (const path of stored) assert.match(path, /^\/$|^\/assets\//);
    });

    await t.test('the hub is back: the document is its own, not the one that is kept', async () => {
      await net.hub(Number(new URL(url).port), ...SERVED);
      await page.goto(`${url}/r/${run}/play`);
      const card = await page.getAttribute('meta[property="og:url"]', 'content');
      assert.equal(card, `https://potluck.example/r/${run}`); // the one that is kept is the hub's own
    });
  });
});
