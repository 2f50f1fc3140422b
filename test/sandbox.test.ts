// A stranger's game in a tab: it runs in a sandbox that reaches neither keys nor storage nor the page nor any network, and is ended when it loops.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { gameText } from '../src/games/game-text.ts';
import { threadOfFile } from '../src/games/host/node-host.ts';
import { hostGame } from '../src/games/host/outside.ts';
import { runProgram } from '../src/games/programs/node-programs.ts';
import { PROGRAM_CASES } from '../src/games/programs/testing/program-cases.ts';
import { createWasmRuntime } from '../src/tensor/wasm-runtime.ts';
import { playRound } from './tab/play-round.ts';
import { type Scope, skip, tabNetwork } from './tab-browser.ts';

const EXAMPLES = join(import.meta.dirname, '..', 'examples');

/** A game whose `sizes` answers with what each of these finds. */
const gameThat = (...reaches: string[]): string => `import { z, CodedError } from 'potluck/game';
const reaches = [${reaches.map((reach) => `async () => { ${reach} }`).join()}];
const foundBy = (reach) => reach().then((value) => String(value), (error) => 'refused: ' + error.name + ': ' + error.message);
export const game = {
  name: 'hostile', unit: 'pieces', metrics: [{ name: 'none', words: 'nothing', unit: 'pieces', better: 'lower' }],
  params: z.object({}), first: () => 1, task: () => 1, perform: async () => null, check: async () => null,
  evaluate: async () => null, merge: () => 1, encodeState: () => new Uint8Array(), decodeState: () => 1, checkForm() {},
  async sizes() { const got = []; for (const reach of reaches) got.push(await foundBy(reach)); return { got }; },
};`;

/** What a hostile game tries, and what it must find; beside the patterns, nothing that it says may hold a secret of the page. */
const REACHES: readonly (readonly [what: string, reach: string, finds: RegExp])[] = [
  ['its origin', 'return self.origin', /^null$/],
  [
    'the keys of this page, in IndexedDB',
    "return new Promise((resolve, reject) => { const open = indexedDB.open('potluck'); open.onsuccess = () => resolve('opened'); open.onerror = () => reject(open.error); })",
    /refused: (SecurityError|UnknownError|InvalidStateError)/,
  ],
  ['files of this origin', 'return (await navigator.storage.getDirectory()).name', /refused/],
  ['what the page has kept', 'return (await caches.keys()).length', /refused/],
  ['local storage', 'return localStorage.length', /refused: ReferenceError/],
  ['the document', 'return document.cookie', /refused: ReferenceError/],
  ['the page around it', 'return parent.location.href', /refused: ReferenceError/],
  ['Node', 'return process.env.HOME', /refused/],
  ['files', "return (await import('node:fs')).readFileSync('/etc/passwd')", /refused/],
  ['the hub', "return (await fetch('/status')).status", /refused/],
  ['the hub by its address', 'return (await fetch(ADDRESS + "/status")).status', /refused/],
  [
    'a socket',
    'return new Promise((resolve, reject) => { const socket = new WebSocket(ADDRESS.replace("http", "ws") + "/ws"); socket.onopen = () => resolve("opened"); socket.onerror = () => reject(new Error("closed")); })',
    /refused/,
  ],
  [
    'an old request',
    'const request = new XMLHttpRequest(); request.open("GET", ADDRESS + "/status", false); request.send(); return request.status',
    /refused/,
  ],
  [
    'events of the hub',
    'return new Promise((resolve, reject) => { const events = new EventSource(ADDRESS + "/status"); events.onopen = () => resolve("opened"); events.onerror = () => reject(new Error("closed")); })',
    /refused/,
  ],
  ['a script of the hub', 'return import(ADDRESS + "/service-worker.js")', /refused/],
  ['a script as data', "return (await import('data:text/javascript,export const x = 1')).x", /refused/],
  ['code from text', "return new Function('return 1')()", /refused: EvalError/],
  ['calls between browsers', 'return typeof RTCPeerConnection', /^undefined$/],
  ['the clipboard', 'return typeof navigator.clipboard', /^undefined$/],
  [
    'another tab, by a channel',
    'const channel = new BroadcastChannel("potluck"); channel.postMessage("mine"); return "said"',
    /said|refused/,
  ],
];

describe('a game in the sandbox of a tab', { skip, concurrency: false }, () => {
  const net = tabNetwork();

  /** One for all of them: whatever a game has done in it, the next one finds it whole. */
  let page: Promise<Page> | null = null;
  const opened = async (): Promise<Page> => {
    const fresh = await net.browser.newPage();
    await fresh.goto(net.hub.url);
    return fresh;
  };
  const inSandbox = async (text: string, part: 'sizes' | 'first' = 'sizes', blocked_ms = 20_000): Promise<string> => {
    page ??= opened();
    return (await page).evaluate(
      ([game, called, limit_ms]) =>
        (globalThis as Scope).potluck.inSandbox(game as string, called as 'sizes', limit_ms as number).catch(String),
      [text, part, blocked_ms] as const,
    );
  };

  test('works, with what `potluck/game` gives', async () => {
    const works = gameThat("return new CodedError('a', 'b').code + z.int().parse(3)");
    assert.equal(await inSandbox(works), '{"got":["a3"]}');
  });

  test('reaches nothing around it', async () => {
    const reaches = REACHES.map(([, reach]) => reach.replaceAll('ADDRESS', JSON.stringify(net.hub.url)));
    const { got } = JSON.parse(await inSandbox(gameThat(...reaches))) as { got: string[] };
    for (const [i, [what, , finds]] of REACHES.entries()) assert.match(got[i], finds, what);
  });

  test('is ended when it loops, while it is called and while it is loaded, and the page goes on', async () => {
    assert.match(await inSandbox(gameThat('for (;;);'), 'sizes', 500), /hostile: sizes: has not given way for 0.5 s/);
    assert.match(await inSandbox('for (;;);', 'sizes', 500), /loading: has not given way for 5 s/);
  });

  test('that is none says what it lacks', async () => {
    assert.match(await inSandbox('export const game = 3;'), /the game's file: game: /);
    assert.match(await inSandbox('export {'), /SyntaxError|the game's file/);
  });

  test('has programs run for it, which end as they do in Node, to the last step and bit', async () => {
    const page = await net.browser.newPage();
    await page.goto(net.hub.url);
    const given = PROGRAM_CASES.map(({ program, input, limits }) => ({
      program,
      input: JSON.stringify(input ?? null),
      limits,
    }));
    const here = JSON.parse(
      await page.evaluate(
        (cases) =>
          (globalThis as Scope).potluck.endsOf(cases.map((each) => ({ ...each, input: JSON.parse(each.input) }))),
        given,
      ),
    );
    for (const [i, { what, program, input = null, limits }] of PROGRAM_CASES.entries()) {
      assert.equal(JSON.stringify(here[i]), JSON.stringify(await runProgram(program, input, limits)), what);
    }
    await page.close();
  });

  test('plays a round as in Node, to the last bit: with programs that it runs, with graphs that it trains', async () => {
    const runtime = await createWasmRuntime({ threads: 1 });
    const page = await net.browser.newPage();
    await page.goto(net.hub.url);
    for (const [file, reads] of [
      ['short-program', /"accepted":true/],
      ['tiny-training', /"accepted":true/],
    ] as const) {
      const path = join(EXAMPLES, `${file}.ts`);
      const hosted = await hostGame({ open: () => threadOfFile(path), word: path });
      const here = await playRound(hosted.game, runtime, runProgram);
      hosted.close();
      assert.match(here, reads);
      const sent = gameText(path);
      const text = 'text' in sent ? new TextDecoder().decode(sent.text) : assert.fail(sent.why);
      assert.equal(await page.evaluate((game) => (globalThis as Scope).potluck.playInSandbox(game), text), here, file);
    }
    await page.close();
    await runtime.close();
  });
});
