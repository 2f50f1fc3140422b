// A browser tab answers callers of the pool: real Chromium, a real hub, and a Node device that goes on where the tab is closed in mid-answer.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { eventsOf } from '../src/serving/api/event-reader.ts';
import { network } from './network.ts';
import { checkAccessibility, checkWidths, pageBrowser } from './page-browser.ts';
import { createPoems, fleetWhere } from './served-run.ts';
import { skip } from './tab-browser.ts';

const REQUEST = { model: 'poems', prompt: 'The ', max_tokens: 80, temperature: 0 };

interface Read {
  readonly text: string;
  readonly finish_reason: string;
}

/** Reads an answer as a caller does; `onText` hears how much of it has come. */
async function ask(url: string, onText: (characters: number) => void = () => {}): Promise<Read> {
  const response = await fetch(`${url}/v1/completions`, {
    ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
    body: JSON.stringify({ ...REQUEST, stream: true }),
  });
  assert.equal(response.status, 200);
  let text = '';
  let finish_reason = '';
  for await (const data of eventsOf(response.body!)) {
    if (data === '[DONE]') break;
    const [choice] = JSON.parse(data).choices;
    text += choice.text;
    finish_reason = choice.finish_reason ?? finish_reason;
    onText(text.length);
  }
  return { text, finish_reason };
}

/** As when its owner looks at another tab. */
const setHidden = (page: Page, hidden: boolean): Promise<void> =>
  page.evaluate(
    (state) => {
      Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => state });
      document.dispatchEvent(new Event('visibilitychange'));
    },
    hidden ? 'hidden' : 'visible',
  );

describe('a tab that serves', { skip, concurrency: false }, () => {
  const browser = pageBrowser();

  test('answers with consent and in sight; closed in mid-answer, a Node device goes on, and the text is the same', async (t) => {
    const net = network(t);
    const { url } = await net.hub(0, '--log-level', 'error');
    // Two workers: with one the run waits, and its model stays what it is.
    const run = await createPoems(url, 2);
    const page = await browser.open(t);
    // A quarter of the time, so that an answer can be cut in the middle.
    await page.addInitScript(() => localStorage.setItem('potluck-limits', '{"duty_percent":25}'));
    await page.goto(`${url}/r/${run}/device`);
    await page.getByRole('button', { name: 'Contribute from this tab' }).click();
    const choice = page.getByLabel('Also answer requests');
    await choice.waitFor();
    assert.equal(await choice.inputValue(), '0');
    assert.deepEqual((await fleetWhere(url, () => true)).rows, [], 'nothing is offered without consent');

    await page.getByLabel('Where it is').fill('eu-west');
    await choice.selectOption('Yes, one at a time');
    await page.getByText('Ready to answer.').waitFor();
    const [row] = (await fleetWhere(url, ({ rows }) => rows.length === 1)).rows;
    assert.deepEqual([row.engine, row.places, row.region], ['own', 1, 'eu-west']);
    const alone = await ask(url);
    assert.equal(alone.finish_reason, 'length');
    await page.getByText('Ready to answer. 1 answer written so far.').waitFor();
    await page.getByText(/Measured by the hub: idle · takes 1 more · [\d.k]+ tokens\/s/).waitFor();
    await checkAccessibility(page, 'a tab that answers');
    await checkWidths(page, 'answering', [360, 1280]);

    await setHidden(page, true);
    await fleetWhere(url, ({ rows }) => rows[0].places === 0);
    await page.getByText('Answers nobody while the tab is hidden.').waitFor();
    await setHidden(page, false);
    await fleetWhere(url, ({ rows }) => rows[0].places === 1);

    const device = net.join(url, 'server', '--run', run, '--serve-only');
    await device.line((line) => line.type === 'serves');
    await fleetWhere(url, ({ rows }) => rows.length === 2);
    let cut_at = 0;
    const cut = await ask(url, (characters) => {
      if (cut_at > 0 || characters < 10) return;
      cut_at = characters;
      void page.close();
    });
    assert.deepEqual(cut, alone);
    const { rows } = await fleetWhere(url, (fleet) => fleet.rows.length === 1);
    assert.deepEqual([rows[0].leases, rows[0].well, rows[0].refused], [1, 1, 0], 'the Node device wrote the rest');
  });
});
