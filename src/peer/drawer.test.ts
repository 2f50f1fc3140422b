// What a worker keeps across a restart: with its drawer it goes on bit for bit, with a damaged one it starts afresh.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openDrawer } from '../games/folder-drawer.ts';
import type { Device } from '../games/game.ts';
import { AFRESH, keptPieces, readCarried } from '../games/pretrain/carried.ts';
import { decodeWork, type PretrainWork } from '../games/pretrain/work.ts';
import { game } from '../games/pretrain.ts';
import { mergeState } from '../games/state.ts';
import { drawerCompliance } from '../games/testing/drawer-compliance.ts';
import { type PretrainExample, pretrainExample, round } from '../games/testing/example-pretrain.ts';
import { watchedFolder } from '../ledger/testing/power-cut.ts';
import { parameterSpecs } from '../model/config.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { writeWhole } from '../protocol/whole-file.ts';
import { untilLeft } from './leaving.ts';

const root = mkdtempSync(join(tmpdir(), 'potluck-drawer-'));
after(() => rmSync(root, { recursive: true, force: true }));
const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i);

drawerCompliance(
  'a folder',
  async () => {
    const disk = mkdtempSync(join(root, 'disk-'));
    const watched = await watchedFolder(disk);
    return {
      drawer: openDrawer(join(disk, 'runs', 'run')),
      powerCut: async () => openDrawer(join(await watched.cut(), 'runs', 'run')),
    };
  },
  8,
);

describe('a drawer in a folder', () => {
  test('leaves nothing else lying about', async () => {
    const folder = join(root, 'a', 'b');
    await openDrawer(folder).put('thing', bytes);
    await openDrawer(folder).put('thing', bytes.subarray(3));
    assert.deepEqual(await openDrawer(folder).get('thing'), new Uint8Array(bytes.subarray(3)));
    assert.deepEqual(readdirSync(folder), ['thing']);
  });

  test('has nothing where nothing was put, or what was put is damaged', async () => {
    const folder = join(root, 'damaged');
    const drawer = openDrawer(folder);
    assert.equal(await drawer.get('thing'), null);
    await drawer.put('thing', bytes);
    const file = join(folder, 'thing');
    const whole = readFileSync(file);
    for (const damage of [
      (file: Buffer) => file.subarray(0, -1),
      (file: Buffer) => file.subarray(0, 10),
      (file: Buffer) => Buffer.concat([file, Buffer.from('x')]),
      (file: Buffer) => Buffer.from(file).fill(file[500] ^ 4, 500, 501),
    ]) {
      writeFileSync(file, damage(whole));
      assert.equal(await drawer.get('thing'), null);
    }
    await drawer.delete('thing');
    await drawer.delete('thing');
    assert.equal(await drawer.get('thing'), null);
  });
});

describe('a disk that cannot be written', () => {
  test('costs no round: what belongs on it is kept in memory, said once, and written again when that is possible', async () => {
    const folder = join(root, 'full');
    writeFileSync(folder, ''); // a file in the folder's place: nothing can be written below it
    const told: string[] = [];
    const drawer = openDrawer(folder, (why) => told.push(why));
    await drawer.put('thing', bytes);
    await drawer.put('thing', bytes.subarray(1));
    assert.deepEqual(await drawer.get('thing'), bytes.subarray(1));
    assert.equal(told.length, 1);
    assert.match(told[0], /full cannot be written \(E.*\): what belongs there is lost when this ends$/);
    rmSync(folder);
    await drawer.put('thing', bytes);
    assert.deepEqual(await openDrawer(folder).get('thing'), bytes);
    writeFileSync(join(folder, 'other'), '');
    await drawer.delete('thing');
    assert.equal(await drawer.get('thing'), null);
  });

  test('keeps nothing half written, and what a killed process has left is removed by the next one', async () => {
    const folder = join(root, 'half');
    mkdirSync(join(folder, 'thing', 'in the way'), { recursive: true });
    await assert.rejects(() => writeWhole(join(folder, 'thing'), bytes));
    assert.deepEqual(readdirSync(folder), ['thing']);
    const { pid } = spawnSync(process.execPath, ['--version']);
    for (const left of [`.a.${pid}`, `.c.${process.pid}`, '.hidden']) writeFileSync(join(folder, left), '');
    await openDrawer(folder).put('b', bytes);
    assert.deepEqual(readdirSync(folder).sort(), ['.hidden', `.c.${process.pid}`, 'b', 'thing'].sort());
  });
});

describe('a pre-training worker that is started again', () => {
  let example: PretrainExample;
  before(async () => {
    example = await pretrainExample();
  });
  after(() => example.runtime.close());

  const device = (folder: string): Device => ({ ...example.device(), drawer: openDrawer(folder) });

  /** Two rounds; `between` says which device does the second. What that hands in. */
  const secondRound = async (
    name: string,
    between: (folder: string, before: Device) => Promise<Device>,
  ): Promise<PretrainWork> => {
    const { params, weights } = example;
    const folder = join(root, name);
    const before = device(folder);
    const running = new AbortController().signal;
    const first = (await game.perform(game.task(params, round(0), 'worker', weights), before, running))!;
    const merged = await mergeState(game, params, weights, [{ work: first.work, weight: 1 }]);
    const next = game.task(params, round(1, { last: example.bundleOf(first) }), 'worker', merged);
    return decodeWork((await game.perform(next, await between(folder, before), running))!.work);
  };

  test('goes on exactly where it was: error feedback and AdamW', async () => {
    const uninterrupted = await secondRound('uninterrupted', async (_, before) => before);
    const restarted = await secondRound('restarted', async (folder) => device(folder));
    assert.deepEqual(restarted, uninterrupted);
    const pieces = keptPieces(device(join(root, 'restarted')), 1);
    const kept = await readCarried(parameterSpecs(example.params.model), pieces, async () => true);
    assert.deepEqual(kept?.hash, restarted.end);
    assert.equal(kept.carried.moments.steps, 40);
    assert.ok([...kept.carried.error.values()].some((values) => values.some((value) => value !== 0)));
  });

  test('begins afresh, and says so, where what it carried is damaged, gone or not its own', async () => {
    const whole = await secondRound('whole', async (folder) => device(folder));
    assert.notDeepEqual(whole.start, AFRESH);
    const spoil: Record<string, (file: string) => void> = {
      gone: (file) => rmSync(file),
      damaged(file) {
        const content = readFileSync(file);
        content[content.length - 5] ^= 0x40;
        writeFileSync(file, content);
      },
      empty: (file) => writeFileSync(file, ''),
      // It was killed after it had handed in, before this was written: there is what a round before has left.
      older: (file) => cpSync(join(root, 'whole', 'carried.1'), file),
    };
    const spoilt = Object.keys(spoil).map((how) => [how, 'carried.0'] as const);
    for (const [how, name] of [...spoilt, ['gone', 'carried.0.0'], ['damaged', 'carried.0.0']] as const) {
      const { start, end } = await secondRound(`${how} ${name}`, async (folder) => {
        spoil[how](join(folder, name));
        return device(folder);
      });
      assert.deepEqual(start, AFRESH, how);
      assert.notDeepEqual(end, whole.end, how);
    }
  });
});

describe('waiting', () => {
  const never = new Promise<never>(() => {});

  test('ends when the work does, whatever the owner wants', async () => {
    const leaving = new AbortController();
    assert.equal(await untilLeft(Promise.resolve(5), leaving.signal, 1), 5);
    await assert.rejects(() => untilLeft(Promise.reject(new Error('no')), leaving.signal, 1), /no/);
    leaving.abort();
    assert.equal(await untilLeft(Promise.resolve(6), leaving.signal, 1000), 6);
  });

  test('ends soon after the owner wants the device back, and not before', async () => {
    const leaving = new AbortController();
    const waiting = untilLeft(never, leaving.signal, 20);
    const started_ms = performance.now();
    leaving.abort();
    await assert.rejects(waiting, (error) => error instanceof PeerError && error.code === 'disconnected');
    assert.ok(performance.now() - started_ms >= 15);
    await assert.rejects(() => untilLeft(never, leaving.signal, 1), { code: 'disconnected' });
  });
});
