// An address with a run on the command line: it stands for the hub where the run is, and for the run where the command takes one.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { before, describe, type TestContext, test } from 'node:test';
import { Command } from 'commander';
import { exampleStatus } from '../protocol/testing/example-views.ts';
import { DEFAULT_HUB, runHandle, runHandles, runsOption } from './options.ts';
import { followLinks, hubOrRun, joinWordsWithoutLinks, logOrRun, modelWord, runLink } from './run-links.ts';

const RUN = 'ab12'.repeat(16);
const OTHER = 'cd34'.repeat(16);

test('a link is what the page shows of a run, or an address with a run behind #', () => {
  const url = 'https://h.example:7700';
  for (const text of [`${url}/r/ab12`, `${url}/r/ab12/`, `${url}/r/ab12/play`, `${url}/r/ab12/device`, `${url}/#ab12`])
    assert.deepEqual(runLink(text), { url, run: 'ab12' }, text);
  assert.deepEqual(runLink(`${url}#my%20run`), { url, run: 'my run' });
  for (const text of [url, `${url}/`, `${url}/#`, `${url}/r/`, `${url}/r/ab`, `${url}/r/xyz1`, `${url}/r/ab12/ledger`])
    assert.equal(runLink(text), null, text);
  for (const text of ['ab12', '#ab12', 'h.example/#ab12', 'ftp://h/#ab12', `${url}/x#ab12`, `${url}/#%zz`])
    assert.equal(runLink(text), null, text);
});

test('what is no link is an address as ever', () => {
  assert.equal(hubOrRun('localhost:7700'), 'http://localhost:7700');
  assert.equal(logOrRun('http://h:1/'), 'http://h:1');
  for (const parse of [hubOrRun, logOrRun]) assert.throws(() => parse('http://h/runs'), /and nothing after it/);
});

/** A hub with two runs. */
async function hubOf(t: TestContext): Promise<string> {
  const runs = [exampleStatus({ run: RUN, name: 'one' }), exampleStatus({ run: OTHER, name: 'two' })];
  const server = createServer((_, response) => response.end(JSON.stringify({ hub: 'e'.repeat(64), runs, next: null })));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** What a command is called with. */
async function called(command: Command, words: readonly string[]) {
  let got: { words: unknown[]; options: object } | null = null;
  command.exitOverride().configureOutput({ outputError: () => {} });
  command.action((...all: unknown[]) => {
    got = { words: all.slice(0, -2), options: all.at(-2) as object };
  });
  command.hook('preAction', (_, acting) => followLinks(acting));
  await command.parseAsync(words, { from: 'user' });
  return got!;
}

describe('a link in the words of a command', () => {
  let shares: () => Command;
  let join: () => Command;
  before(() => {
    shares = () => new Command().argument('<run>', '', runHandle).option('--hub <url>', '', logOrRun, DEFAULT_HUB);
    join = () => new Command().argument('[url]', '', hubOrRun).addOption(runsOption());
  });

  test('in the place of a run names the hub too', async (t) => {
    const url = await hubOf(t);
    assert.deepEqual(await called(shares(), [`${url}/r/ab12`]), { words: [RUN], options: { hub: url } });
    const several = new Command().argument('<run...>', '', runHandles).option('--hub <url>', '', DEFAULT_HUB);
    assert.deepEqual(await called(several, [`${url}/#one`, `${url}/#two`]), {
      words: [[RUN, OTHER]],
      options: { hub: url },
    });
    const option = new Command().option('--run <run>', '', runHandle).option('--hub <url>', '', DEFAULT_HUB);
    assert.deepEqual(await called(option, ['--run', `${url}/#one`]), { words: [], options: { run: RUN, hub: url } });
    assert.deepEqual(await called(shares(), ['ab12']), { words: ['ab12'], options: { hub: DEFAULT_HUB } });
  });

  test('in the place of a hub names the run too, where the command takes one', async (t) => {
    const url = await hubOf(t);
    assert.deepEqual(await called(join(), [`${url}/#two`]), { words: [url], options: { run: [OTHER] } });
    const audit = new Command().argument('[place]', '', logOrRun).option('--name <name>');
    assert.deepEqual(await called(audit, [`${url}/#two`, '--name', `${url}/#two`]), {
      words: [url],
      options: { name: `${url}/#two` },
    });
    assert.deepEqual(joinWordsWithoutLinks(['join', `${url}/#two`, '--alone']), [
      'join',
      url,
      '--run',
      OTHER,
      '--alone',
    ]);
    assert.equal(await modelWord(`${url}/#two`), `${OTHER}@${url}`);
    assert.equal(await modelWord('./model'), './model');
  });

  test('and another run or hub beside it is refused', async (t) => {
    const [url, elsewhere] = [await hubOf(t), await hubOf(t)];
    const bad = { code: 'bad-argument' };
    await assert.rejects(called(shares(), [`${url}/#one`, '--hub', elsewhere]), bad);
    await assert.rejects(called(join(), [`${url}/#one`, '--run', 'two']), bad);
    await assert.rejects(called(shares(), ['one', '--hub', `${url}/#one`]), bad);
    await assert.rejects(called(shares(), [`${url}/#three`]), { code: 'no-such-run' });
  });
});
