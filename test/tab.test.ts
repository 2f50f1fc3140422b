// A tab is a device: real Chromium, a real hub, Node peers beside it. What a visitor does with it, and what goes wrong.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Browser, chromium, type Page } from 'playwright-core';
import { CHROMIUM, launch, NO_GPU, SOFTWARE_GPU, UNOPTIMISED } from '../src/bench/chromium.ts';
import { openHub } from '../src/hub/hub.ts';
import { createWasmRuntime } from '../src/tensor/wasm-runtime.ts';
import type { HandedIn } from '../src/web/tab/state.ts';
import { tinyRun } from './hub-here.ts';
import { network, untilStatus } from './network.ts';
import { trainingBits } from './tab/training-case.ts';
import { PLAIN_NAME, type Scope, skip, TabUnderTest, tabNetwork } from './tab-browser.ts';
import { hostileHubTests } from './tab-hostile.ts';

describe('a tab', { skip }, () => {
  const tabs = tabNetwork();
  /** A browser with a GPU, in software, and with optimised code, as people have it. */
  let optimised: Browser;
  before(async () => {
    optimised = await launch(SOFTWARE_GPU);
  });
  after(() => optimised?.close());
  const opened = async (page: Page): Promise<Page> => {
    await page.goto(`${tabs.hub.url}/start`);
    return page;
  };

  test('works beside a Node worker, is verified by a Node validator; of three in a browser one works, and the next is the same device', async (t) => {
    const net = network(t);
    const context = await tabs.browser.newContext();
    // More rounds than are played: whoever is quicker does not end the run before the others are there.
    const run = await tinyRun(tabs.hub.url, { rounds: 1000, steps: 5, min_workers: 1, round_seconds: 120 });
    net.joinTogether(tabs.hub.url, 'vera', '--run', run, '--role', 'validator');
    // Work that is merged before there is a judge has no verdicts.
    await untilStatus(tabs.hub.url, run, (s) => s.peers.some(({ role }) => role === 'validator'));
    const page = await opened(await context.newPage());
    assert.equal(await page.evaluate('crossOriginIsolated'), true);
    const first = await TabUnderTest.start(page, { run, name: 'ada' });
    const { device, owner, runtime, temporary } = await first.until((s) => s.handed_in.length > 0);
    assert.equal(temporary, false);
    assert.equal(runtime?.class, 'wasm');
    assert.match(runtime.why, /^no GPU that WebGPU can use/);
    const second = await TabUnderTest.start(await opened(await context.newPage()), { run, name: 'ada' });
    await second.until((s) => s.phase === 'elsewhere');
    await page.close(); // as people do: without a word
    await second.until((s) => s.phase === 'working');
    // One that waits for its turn can be stopped as well.
    const third = await TabUnderTest.start(await opened(await context.newPage()), { run, name: 'third' });
    await third.until((s) => s.phase === 'elsewhere');
    await third.stop();
    await third.until((s) => s.phase === 'stopped');
    const node = net.joinTogether(tabs.hub.url, 'node', '--run', run);
    await node.line(({ type }) => type === 'accepted');
    const isJudged = ({ outcome, verdicts }: HandedIn): boolean => outcome === 'merged' && verdicts.length > 0;
    const last = await second.until((s) => s.handed_in.some(isJudged));
    await second.stop();
    assert.deepEqual([last.device, last.owner], [device, owner]);
    const judged = last.handed_in.filter(isJudged);
    for (const { verdicts } of judged) {
      assert.deepEqual(
        verdicts.map(({ accepted, code }) => [accepted, code]),
        [[true, 'ok']],
      );
    }
    const status = await untilStatus(tabs.hub.url, run, () => true);
    const seen = status.peers.find(({ id }) => id === device)!;
    assert.deepEqual([seen.name, seen.runtime, seen.refused_submissions], ['ada', 'wasm', 0]);
    const amount = judged.reduce((sum, { amount }) => sum + amount, 0);
    assert.ok(amount > 0 && seen.credit_amount >= amount, `credited with ${seen.credit_amount} of ${amount} tokens`);
    assert.equal(status.peers.filter(({ role }) => role === 'worker').length, 2, 'the tab is one device');
    await context.close();
  });

  test('stops when its owner says so and hands in what is done; a pause does too, and goes on afterwards', async () => {
    const context = await tabs.browser.newContext();
    // More steps than the round has time for.
    const run = await tinyRun(tabs.hub.url, { rounds: 3, steps: 100_000, round_seconds: 120 });
    const tab = await TabUnderTest.start(await opened(await context.newPage()), { run, name: 'bob' });
    await tab.until((s) => s.phase === 'working' && s.amount > 0);
    await tab.pause();
    const paused = await tab.until((s) => s.phase === 'paused');
    assert.equal(paused.handed_in.length, 1);
    assert.ok(paused.handed_in[0].amount > 0 && paused.handed_in[0].amount < 100_000 * 4 * 16);
    assert.deepEqual(paused.pauses, ['owner']);
    await untilStatus(tabs.hub.url, run, (s) => s.peers.some((peer) => peer.name === 'bob' && !peer.present));

    await tab.resume();
    await tab.until((s) => s.phase === 'working' && s.round === 1 && s.amount > 0);
    await tab.stop();
    const stopped = await tab.until((s) => s.phase === 'stopped');
    assert.deepEqual(
      stopped.handed_in.map(({ round }) => round),
      [0, 1],
    );
    const status = await untilStatus(tabs.hub.url, run, (s) => s.peers.every(({ present }) => !present));
    assert.ok(status.merged_amount >= stopped.handed_in[0].amount);
    await context.close();
  });

  test('in a browser that keeps nothing works under a key of the moment, and says so', async (t) => {
    const profile = join(tabs.folder, 'keeps-nothing');
    mkdirSync(join(profile, 'Default'), { recursive: true });
    const preferences = { profile: { default_content_setting_values: { cookies: 2 } } }; // "block all site data"
    writeFileSync(join(profile, 'Default', 'Preferences'), JSON.stringify(preferences));
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: CHROMIUM,
      args: [...NO_GPU, UNOPTIMISED],
    });
    t.after(() => context.close());
    const run = await tinyRun(tabs.hub.url, { rounds: 1, steps: 3, round_seconds: 120 });
    const tab = await TabUnderTest.start(await opened(await context.newPage()), { run, name: 'guest' });
    const { temporary, handed_in } = await tab.until((s) => s.phase === 'finished');
    assert.deepEqual([temporary, handed_in.length], [true, 1]);
  });

  test('over plain http takes turns too, on one thread and with a key that comes back', async (t) => {
    const context = await tabs.browser.newContext();
    t.after(() => context.close());
    // A hub for its own machine answers under no such name: this one has been told its own.
    const page = { folder: tabs.web };
    const options = { folder: join(tabs.folder, 'plain'), host: '127.0.0.1', port: 0, page };
    const hub = await openHub({ ...options, public_url: `http://${PLAIN_NAME}` });
    t.after(() => hub.close());
    const address = hub.url.replace('127.0.0.1', PLAIN_NAME);
    const pages = await Promise.all([1, 2].map(() => context.newPage()));
    for (const page of pages) await page.goto(`${address}/start`);
    assert.deepEqual(await pages[0].evaluate('[isSecureContext, crossOriginIsolated]'), [false, false]);
    // More rounds than are played: the first does not end the run before the second is there.
    const run = await tinyRun(hub.url, { rounds: 1000, steps: 3, round_seconds: 120 });
    const first = await TabUnderTest.start(pages[0], { run, name: 'plain' });
    const { device, runtime } = await first.until((s) => s.runtime !== null);
    assert.equal(runtime?.threads, 1);
    assert.match(runtime.why, /one thread, because the page is not cross-origin isolated/);
    const second = await TabUnderTest.start(pages[1], { run, name: 'second' });
    await second.until((s) => s.phase === 'elsewhere');
    await pages[0].close();
    const working = await second.until((s) => s.handed_in.length === 2);
    assert.equal(working.device, device);
  });

  test('on a low battery or a metered connection waits, says why, and works when its owner says so, on one thread if all cores are busy', async () => {
    const context = await tabs.browser.newContext();
    await context.addInitScript(() => {
      const poor = Object.assign(new EventTarget(), { saveData: true, charging: false, level: 0.1 });
      Object.defineProperty(navigator, 'connection', { value: poor });
      Object.defineProperty(navigator, 'getBattery', { value: async () => poor });
    });
    const run = await tinyRun(tabs.hub.url, { rounds: 1, steps: 2 });
    const page = await opened(await context.newPage());
    assert.equal(typeof (await page.evaluate(() => (globalThis as Scope).potluck.coresAreFree())), 'boolean');
    const tab = await TabUnderTest.start(page, { run, name: 'thrifty' });
    const { pauses, handed_in } = await tab.until((s) => s.phase === 'paused' && s.pauses.length === 2);
    assert.deepEqual([pauses, handed_in], [['metered', 'battery-low'], []]);
    const hogs = Array.from({ length: 2 * availableParallelism() }, () => spawn(process.execPath, ['-e', 'for (;;);']));
    try {
      for (const reason of pauses) await tab.overrule(reason);
      const { runtime } = await tab.until((s) => s.runtime !== null);
      assert.equal(runtime?.threads, 1);
      assert.match(runtime.why, /one thread, because other programs keep this device busy/);
    } finally {
      for (const hog of hogs) hog.kill('SIGKILL');
    }
    await tab.until((s) => s.phase === 'finished' && s.handed_in.length === 1);
    await context.close();
  });

  test('moves its person to another browser by 24 words; wrong words are refused and change nothing', async () => {
    const [here, there] = [await tabs.browser.newContext(), await tabs.browser.newContext()];
    const [old, fresh] = [await opened(await here.newPage()), await opened(await there.newPage())];
    const exported = (page: Page) => page.evaluate(() => (globalThis as Scope).potluck.exportIdentity());
    const imported = (words: string) =>
      fresh.evaluate((phrase) => {
        return (globalThis as Scope).potluck.importIdentity(phrase).catch((error) => error.code);
      }, words);
    const { owner, phrase } = await exported(old);
    const before = await exported(fresh);
    assert.notEqual(before.owner, owner);
    assert.equal(await imported(phrase.replace(/\w+$/, 'potluck')), 'bad-phrase');
    assert.deepEqual(await exported(fresh), before);
    assert.equal(await imported(phrase), owner);
    const known = await fresh.evaluate(() => (globalThis as Scope).potluck.readIdentity());
    assert.deepEqual(known, { owner, device: null, temporary: false });
    await Promise.all([here.close(), there.close()]);
  });

  test('trains on WASM with the bits of Node, on one thread and on two', async () => {
    const page = await opened(await optimised.newPage());
    const runtime = await createWasmRuntime({ threads: 2 });
    const inNode = await trainingBits(runtime);
    await runtime.close();
    for (const threads of [1, 2]) {
      assert.equal(await page.evaluate((n) => (globalThis as Scope).potluck.bitsOnWasm(n), threads), inNode);
    }
  });

  test('computes on a GPU what WASM computes; a software GPU is not worth using, and it says so', async () => {
    const page = await opened(await optimised.newPage());
    const run = await tinyRun(tabs.hub.url, { rounds: 1, steps: 2, round_seconds: 60 });
    const auto = await TabUnderTest.start(page, { run, name: 'auto' });
    const { runtime } = await auto.until((s) => s.runtime !== null);
    assert.equal(runtime?.class, 'wasm');
    assert.match(runtime.why, /^only a software GPU here/); // on a busy machine something about threads follows
    await auto.stop();
    // How one is chosen is runtime-choice.test.ts, that a judge on a CPU accepts what one trains test/gpu.test.ts.
    const off = await page.evaluate(() => (globalThis as Scope).potluck.gpuAgainstWasm());
    assert.ok(off < 1e-3, `${off}`);
  });

  hostileHubTests(tabs);
});
