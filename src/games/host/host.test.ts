// A game in a thread of its own: it answers as it would here, and where it loops, dies or lies only its own calls fail.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { CodedError } from '../../errors.ts';
import type { Runtime } from '../../tensor/runtime.ts';
import { game as chain } from '../addition-chain.ts';
import type { AnyGame, Device, Judging, Round } from '../game.ts';
import { memoryDrawer } from '../memory-drawer.ts';
import { lendTo } from './lend.ts';
import { threadOfFile } from './node-host.ts';
import { type HostedGame, hostGame } from './outside.ts';

const CHAIN = new URL('../addition-chain.ts', import.meta.url);
const folder = mkdtempSync(join(tmpdir(), 'potluck-host-'));
const hosted = new Set<HostedGame>();
after(() => {
  for (const host of hosted) host.close();
  rmSync(folder, { recursive: true, force: true });
});

type WholeGame = Extract<AnyGame, { merge: unknown }>;

/** The chain game with a change, hosted. */
async function host(name: string, change: string, blocked_ms = 20_000, memory_mb = 512): Promise<WholeGame> {
  const path = join(folder, `${name}.ts`);
  writeFileSync(
    path,
    `import { CodedError } from 'potluck/game';\nimport { game as sound } from '${pathToFileURL(CHAIN.pathname)}';\nexport const game = { ...sound, name: '${name}', ${change} };\n`,
  );
  const opened = await hostGame({
    ...{ open: () => threadOfFile(path, memory_mb), word: path, blocked_ms },
  });
  hosted.add(opened);
  return opened.game as WholeGame;
}

const params = chain.params.parse({ bits: 12, tries: 30 });
const round: Round = { run: 'r', number: 0, rounds: 2, seed: 's', draw: null, last: null };
const running = new AbortController().signal;
const runtime: Runtime = {
  class: 'wasm',
  load: async () => ({
    ...{ writeState: async () => {}, readState: async () => new Map(), close: async () => {} },
    run: async (inputs) => inputs,
  }),
  close: async () => {},
};
const deviceWith = (more: Partial<Device> = {}): Device => ({
  ...{ runtime, drawer: memoryDrawer(), progress: async () => {} },
  fetchBlob: async (hash) => new TextEncoder().encode(hash),
  ...more,
});
const judging: Judging = {
  ...{ runtime: 'wasm', repeat_permille: 0, looks: true, place: 0, time_ms: 1000 },
  earlier: async () => [Uint8Array.of(1)],
};

test('a game that is hosted gives what it gives here, and keeps its states and tasks there', async () => {
  const there = await host('chain', '');
  assert.equal(there.name, 'chain');
  assert.equal(there.prepare, undefined);
  const parsed = await there.params.safeParseAsync({ bits: 12, tries: 30 });
  assert.deepEqual(parsed.data, params);
  const refused = await there.params.safeParseAsync({ bits: 'many' });
  assert.match(refused.error!.issues[0].message, /bits/);
  let steps = 0;
  const device = deviceWith({ progress: async () => void steps++ });
  const state = await there.first!(params);
  let peer = 0;
  for (; ; peer++) {
    const task = await there.task(params, round, `p${peer}`, state);
    const claim = await there.perform(task, device, running);
    assert.deepEqual(claim, await chain.perform(chain.task(params, round, `p${peer}`, []), deviceWith(), running));
    if (!claim) continue;
    assert.ok(steps >= 30);
    const verdict = await there.check(task, claim, device, judging);
    assert.ok(verdict.accepted);
    const next = await there.merge(params, state, [{ work: claim.work, weight: 1 }]);
    const bytes = await there.encodeState(params, next);
    assert.deepEqual(bytes, chain.encodeState(params, chain.merge(params, [], [{ work: claim.work, weight: 1 }])));
    assert.deepEqual(await there.encodeState(params, await there.decodeState(params, bytes)), bytes);
    break;
  }
  await assert.rejects(async () => there.checkForm(params, Uint8Array.of(1)), { code: 'bad-form' });
  assert.deepEqual(await there.sizes(params), chain.sizes(params));
});

describe('what a game asks of its device', () => {
  test('is answered: blobs, a drawer apart from the peer’s own, earlier work, a runtime', async () => {
    const there = await host(
      'asks',
      `async check(task, claim, device, judging) {
        await device.drawer.put('mine', Uint8Array.of(7));
        const program = await device.runtime.load({ onnx: Uint8Array.of(1), inputs: [], outputs: [], states: [] });
        return {
          kept: await device.drawer.get('mine'), other: await device.drawer.get('sealed'), blob: await device.fetchBlob('a'.repeat(64)),
          earlier: await judging.earlier(), doubled: await device.run('(x) => 2 * x', 21, { steps: 9 }), ran: await program.run({ x: { dtype: 'int32', shape: [1], data: Int32Array.of(1) } }), same: device === globalThis.before, before: (globalThis.before = device, 1),
        };
      }`,
    );
    const run: Device['run'] = async (...asked) => ({ kind: 'value', value: asked, steps: 1 });
    const device = deviceWith({ run });
    await device.drawer.put('sealed', Uint8Array.of(1));
    const task = await there.task(params, round, 'p', await there.first!(params));
    const ask = async (): Promise<unknown> => there.check(task, {} as never, device, judging);
    const answers = { kept: Uint8Array.of(7), other: null, blob: new TextEncoder().encode('a'.repeat(64)) };
    const doubled = { kind: 'value', value: ['(x) => 2 * x', 21, { steps: 9 }], steps: 1 };
    const rest = {
      doubled,
      earlier: [Uint8Array.of(1)],
      ran: { x: { dtype: 'int32', shape: [1], data: Int32Array.of(1) } },
      before: 1,
    };
    assert.deepEqual(await ask(), { ...answers, ...rest, same: false });
    assert.deepEqual(await ask(), { ...answers, ...rest, same: true }, 'games hang on a device what they have loaded');
    assert.deepEqual(await device.drawer.get('game-mine'), Uint8Array.of(7));
  });

  test('fails with the very error of the device', async () => {
    const there = await host('fails', "async prepare(params, device) { await device.fetchBlob('b'.repeat(64)); }");
    const away = new CodedError('away', 'the hub is away', { status: 503 });
    const device = deviceWith({
      fetchBlob: async () => {
        throw away;
      },
    });
    await assert.rejects(
      async () => there.prepare!(params, device),
      (error) => error === away,
    );
  });

  test('is bounded, and nonsense is refused', async () => {
    const there = await host(
      'greedy',
      `async prepare(params, device) {
        const said = [];
        const told = (error) => said.push(error.message);
        await device.fetchBlob('../../etc/passwd').catch(told);
        await device.drawer.put('../identity', Uint8Array.of(1)).catch(told);
        await device.drawer.put('big', new Uint8Array((1 << 26) + 1)).catch(told);
        for (let i = 0; i < 17; i++) await device.drawer.put('name' + i, Uint8Array.of(1)).catch(told);
        const graph = { onnx: Uint8Array.of(1), inputs: [], outputs: [], states: [] };
        for (const wrong of [{}, { ...graph, onnx: new Uint8Array((1 << 26) + 1) }, { ...graph, states: [{ name: 'w', next: null, shape: [1 << 14, (1 << 14) + 1] }] }]) await device.runtime.load(wrong).then((program) => program.close(), told);
        for (let i = 0; i < 17; i++) await device.runtime.load(graph).catch(told);
        throw new CodedError('said', String(said.length));
      }`,
    );
    await assert.rejects(async () => there.prepare!(params, deviceWith()), { code: 'said', message: '9' });
  });

  test('ends the runtime where a graph takes too long, and reads what it is asked', async () => {
    let ended = false;
    const slow: Runtime = {
      class: 'wasm',
      load: async () => ({
        ...{ writeState: async () => {}, readState: async () => new Map(), close: async () => {} },
        run: () => new Promise(() => {}),
      }),
      close: async () => {},
      end: async () => {
        ended = true;
      },
    };
    const lent = lendTo(deviceWith({ runtime: slow }), 20);
    const number = await lent.answer('load', [{ onnx: Uint8Array.of(1), inputs: ['x'], outputs: [], states: [] }]);
    for (const wrong of [
      { x: 1 },
      { x: { dtype: 'float32', shape: [1], data: [1] } },
      { x: { dtype: 'float32', shape: [-1] } },
      null,
    ]) {
      await assert.rejects(lent.answer('runGraph', [number, wrong]), { code: 'game-nonsense' });
    }
    await assert.rejects(lent.answer('runGraph', [5, {}]), { code: 'game-nonsense' });
    assert.ok(!ended);
    await assert.rejects(lent.answer('runGraph', [number, {}]), { code: 'game-late' });
    assert.ok(ended);
    lent.end();
  });

  test('is heard: a signal stops it there', async () => {
    const there = await host(
      'stops',
      "async perform(task, device, signal) { while (!signal.aborted) await device.progress({ amount: 1, numbers: { steps: 1 } }); return 'stopped'; }",
    );
    const stop = new AbortController();
    let steps = 0;
    const device = deviceWith({ progress: async () => void (++steps === 3 && stop.abort()) });
    const task = await there.task(params, round, 'p', await there.first!(params));
    assert.equal(await there.perform(task, device, stop.signal), 'stopped');
    assert.equal(await there.perform(task, device, AbortSignal.abort()), 'stopped');
  });
});

describe('only its own calls fail of a game that', () => {
  test('loops: it is ended, named with its part, and begins afresh without what it held', async () => {
    const there = await host('loops', 'checkForm(_, work) { if (work.length > 0) for (;;); }', 400);
    const state = await there.first!(params);
    const [looped, beside] = await Promise.allSettled([
      (async () => there.checkForm(params, Uint8Array.of(1)))(),
      (async () => there.encodeState(params, state))(),
    ]);
    const message =
      'loops: checkForm, encodeState: has not given way for 0.4 s; its thread is ended, and what it was at is not done';
    assert.equal(looped.status === 'rejected' && looped.reason.message, message);
    assert.equal(beside.status, 'rejected');
    await there.checkForm(params, new Uint8Array());
    await assert.rejects(async () => there.encodeState(params, state), { code: 'game-ended' });
    await there.encodeState(params, await there.first!(params));
  });

  test('ends its thread, eats memory, or says what cannot be copied', async () => {
    for (const [name, deed, message] of [
      ['exits', 'process.exit(3)', /code 3/],
      ['eats', 'const all = []; for (;;) all.push(new Array(1e6).fill(all))', /memory/],
    ] as const) {
      const there = await host(name, `sizes() { ${deed}; }`, 60_000, 64);
      await assert.rejects(async () => there.sizes(params), { code: 'game-threw', message });
      await there.first!(params);
    }
    const there = await host('uncopied', 'sizes: () => ({ max_bytes: () => 1 })');
    await assert.rejects(async () => there.sizes(params), /could not be cloned/);
    await there.first!(params);
  });

  test('asks without end', async () => {
    const there = await host(
      'floods',
      "prepare: async (params, device) => { for (let i = 0; i < 300; i++) void device.fetchBlob('a'.repeat(64)); await new Promise(() => {}); }",
    );
    const device = deviceWith({ fetchBlob: () => new Promise(() => {}) });
    await assert.rejects(async () => there.prepare!(params, device), /asked 256 things/);
  });

  test('is none, loops or waits for ever while it is loaded', async () => {
    for (const [text, code, message] of [
      ['export const game = 3;', 'bad-game-file', /top.ts: game/],
      ['for (;;);', 'game-late', /loading: has not given way for 5 s/],
      ['await new Promise(() => {}); export const game = {};', 'bad-game-file', /loading: it awaits what never comes/],
      ["throw new Error('at once');", 'bad-game-file', /at once/],
    ] as const) {
      const path = join(folder, 'top.ts');
      writeFileSync(path, text);
      const open = () => threadOfFile(path);
      const loading = hostGame({ open, word: path, blocked_ms: 2000 });
      await assert.rejects(loading, { code, message });
    }
  });
});

test('a game finds no passphrase in its environment', async () => {
  process.env.POTLUCK_TEST_SECRET = 'x';
  const path = join(folder, 'curious.ts');
  writeFileSync(
    path,
    `import { CodedError } from 'potluck/game';\nimport { game as sound } from '${pathToFileURL(CHAIN.pathname)}';
export const game = { ...sound, name: 'curious',
  sizes() { throw new CodedError('seen', Object.keys(process.env).join()); } };\n`,
  );
  const open = () => threadOfFile(path);
  const opened = await hostGame({ open, word: path });
  hosted.add(opened);
  await assert.rejects(async () => opened.game.sizes(params), { code: 'seen', message: '' });
});
