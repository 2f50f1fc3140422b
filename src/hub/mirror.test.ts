// A log as static files: whatever fails, whoever publishes beside, a reader never gets a head whose tiles are missing, and gets the newest one in the end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cosignCheckpoint, openCheckpoint } from '../ledger/checkpoint.ts';
import { LedgerError } from '../ledger/errors.ts';
import { originOf, witnessName } from '../ledger/key-names.ts';
import { leafHash, rootAt } from '../ledger/merkle.ts';
import type { PublicFiles } from '../ledger/public-files.ts';
import { memoryFiles } from '../ledger/testing/memory-files.ts';
import { createMemoryLogStore } from '../ledger/testing/memory-log.ts';
import {
  decodeEntryBundle,
  entriesPath,
  nodesFromTiles,
  TILE_WIDTH,
  TileNodes,
  tilePath,
  tilesOfTree,
} from '../ledger/tiles.ts';
import { openTransparencyLog, type TransparencyLog } from '../ledger/transparency-log.ts';
import { sleep } from '../protocol/clock.ts';
import { utf8 } from '../protocol/hash.ts';
import { createIdentity } from '../protocol/identity.ts';
import { seededRandom } from '../protocol/random.ts';
import { type HandClock, handClock } from '../protocol/testing/hand-clock.ts';
import { openCosignatures } from './cosignatures.ts';
import { keepMirrored, type MirrorOptions } from './mirror.ts';

const identity = createIdentity();
const hub = identity.id;
const entry = (i: number): Uint8Array => utf8(`entry ${i}`);
const entriesFrom = (first: number, count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => entry(first + i));

async function logOf(size: number): Promise<TransparencyLog> {
  const log = openTransparencyLog(createMemoryLogStore(), identity);
  await log.append(entriesFrom(0, size));
  return log;
}

/** What a reader gets: checks every tile and every entry that the checkpoint needs; resolves to the head's size. */
function readWhole(files: ReadonlyMap<string, Uint8Array>): number {
  const note = new TextDecoder().decode(files.get('log/checkpoint'));
  const { size, root } = openCheckpoint(note, { id: hub, origin: originOf(hub) });
  const tiles = new Map<string, TileNodes>();
  for (const { level, full, partial_width } of tilesOfTree(size)) {
    for (let index = 0; index < full + Math.sign(partial_width); index++) {
      const width = index < full ? TILE_WIDTH : partial_width;
      const beginning = files.get(`log/${tilePath(level, index)}`)?.subarray(0, width * 32);
      const tile = files.get(`log/${tilePath(level, index, width)}`) ?? beginning;
      assert.equal(tile?.length, width * 32, `the head of ${size} needs ${tilePath(level, index, width)}`);
      tiles.set(`${level} ${index}`, TileNodes.fromBytes(tile!));
      if (level > 0) continue;
      const whole = files.get(`log/${entriesPath(index)}`);
      const bundle = files.get(`log/${entriesPath(index, width)}`) ?? whole;
      assert.ok(bundle, `the head of ${size} needs ${entriesPath(index, width)}`);
      const hashes = decodeEntryBundle(bundle, bundle === whole ? TILE_WIDTH : width)
        .slice(0, width)
        .map(leafHash);
      assert.deepEqual(Buffer.concat(hashes), Buffer.from(tile!));
    }
  }
  const node = nodesFromTiles((level, index) => tiles.get(`${level} ${index}`)!);
  assert.deepEqual(rootAt(size, node), root, `the tiles give the root of the head of ${size}`);
  return size;
}

/** The files that everybody sees; whenever a head is put there, all that it needs must be there. */
class Visible extends Map<string, Uint8Array> {
  readonly heads: number[] = [];
  override set(name: string, bytes: Uint8Array): this {
    super.set(name, bytes);
    if (name === 'log/checkpoint') this.heads.push(readWhole(this));
    return this;
  }
}

const mirrored = (log: TransparencyLog, files: PublicFiles, clock: HandClock, more: Partial<MirrorOptions> = {}) =>
  keepMirrored({
    ...{ hub, log, files, clock, cosignatures: openCosignatures(hub) },
    onError: (error) => assert.fail(String(error)),
    ...more,
  });

const StepSchema = fc.oneof(
  fc.record({ step: fc.constant('append' as const), count: fc.integer({ min: 1, max: 300 }) }),
  fc.record({ step: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 20_000 }) }),
  fc.record({ step: fc.constant('restart' as const) }),
  fc.record({ step: fc.constant('another leads' as const), behind: fc.integer({ min: 0, max: 200 }) }),
);

test('whatever the store does, and whoever publishes beside, every head that can be read is whole, and the newest one comes', async () => {
  let heads = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(StepSchema, { minLength: 4, maxLength: 14 }),
      fc.string(),
      fc.integer({ min: 0, max: 60 }),
      async (steps, seed, percent) => {
        const clock = handClock();
        const visible = new Visible();
        const wait = (ms: number) => sleep(clock, ms);
        let faulty = true;
        let hubs = 0;
        const told: unknown[] = [];
        const start = (log: TransparencyLog) => {
          const random = seededRandom('mirror', seed, String(hubs++));
          const failing = memoryFiles(visible, { random, wait, percent, longest_ms: 800 });
          const good = memoryFiles(visible);
          let alive = true;
          /** A dead process asks nothing more and hears no answer. */
          const living = async <T>(ask: (files: PublicFiles) => Promise<T>): Promise<T> => {
            if (!alive) return new Promise<T>(() => {});
            const answer = await ask(faulty ? failing : good);
            return alive ? answer : new Promise<T>(() => {});
          };
          const files: PublicFiles = {
            create: (name, bytes) => living((files) => files.create(name, bytes)),
            replace: (name, bytes, max_age_s) => living((files) => files.replace(name, bytes, max_age_s)),
            get: (name) => living((files) => files.get(name)),
          };
          const mirror = mirrored(log, files, clock, { onError: (error) => told.push(error) });
          return {
            async kill() {
              alive = false;
              await clock.run(mirror.close());
            },
          };
        };
        let log = await logOf(1);
        let running = start(log);
        const others: ReturnType<typeof start>[] = [];
        for (const one of steps) {
          if (one.step === 'append') await log.append(entriesFrom(log.size, one.count));
          if (one.step === 'pass') await clock.pass(one.ms);
          if (one.step === 'restart') {
            await running.kill();
            running = start(log);
          }
          if (one.step === 'another leads') {
            // The one before goes on with what it has; a standby may have heard less than was published, and reads it before it leads.
            others.push(start(await logOf(Math.max(1, log.size - one.behind))), running);
            log = await logOf(log.size);
            running = start(log);
          }
        }
        faulty = false;
        await clock.pass(200_000); // what is late has come, and who waits longest has looked
        assert.equal(readWhole(visible), log.size);
        for (const error of told) {
          assert.ok(error instanceof LedgerError && error.code !== 'file-differs', String(error));
        }
        heads += visible.heads.length;
        for (const one of [running, ...others]) await one.kill();
      },
    ),
    { numRuns: 30 },
  );
  assert.ok(heads > 50, `${heads} heads`);
});

/** A store that counts what is asked of it. */
function counting(files: PublicFiles): PublicFiles & { readonly names: string[] } {
  const names: string[] = [];
  return {
    names,
    create(name, bytes) {
      names.push(name);
      return files.create(name, bytes);
    },
    replace(name, bytes, max_age_s) {
      names.push(name);
      return files.replace(name, bytes, max_age_s);
    },
    get: (name) => files.get(name),
  };
}

test('heads that come faster than they are published are left out, and a log that stands still costs nothing', async () => {
  const clock = handClock();
  const visible = new Visible();
  const files = counting(memoryFiles(visible));
  const log = await logOf(10);
  const mirror = mirrored(log, files, clock);
  for (let i = 0; i < 20; i++) {
    await clock.pass(100);
    await log.append(entriesFrom(log.size, 1));
  }
  await clock.pass(2000);
  assert.ok(visible.heads.length <= 4, visible.heads.join());
  assert.equal(visible.heads.at(-1), 30);
  const before = files.names.length;
  await clock.pass(120_000);
  assert.equal(files.names.length, before);
  await clock.run(mirror.close());
});

test('a publisher that starts again goes on where it was, with the files that are new and no others', async () => {
  const clock = handClock();
  const visible = new Visible();
  const log = await logOf(3 * TILE_WIDTH + 5);
  await clock.run(mirrored(log, memoryFiles(visible), clock).close());
  await log.append(entriesFrom(log.size, TILE_WIDTH));
  const files = counting(memoryFiles(visible));
  await clock.run(mirrored(log, files, clock).close());
  assert.deepEqual(files.names.sort(), [
    'log/checkpoint',
    'log/tile/0/003',
    'log/tile/0/004.p/5',
    'log/tile/1/000.p/4',
    'log/tile/entries/003',
    'log/tile/entries/004.p/5',
  ]);
});

test('an older head that another hub puts there late does not stay', async () => {
  const clock = handClock();
  const visible = new Visible();
  const log = await logOf(300);
  const old = visible;
  const before = await (await logOf(200)).checkpoint();
  await clock.run(mirrored(await logOf(200), memoryFiles(visible), clock).close());
  const mirror = mirrored(log, memoryFiles(visible), clock);
  await clock.pass(5000);
  assert.equal(readWhole(visible), 300);
  old.set('log/checkpoint', utf8(before.note));
  await clock.pass(16_000);
  assert.equal(readWhole(visible), 300);
  await clock.run(mirror.close());
  assert.deepEqual(visible.heads, [200, 300, 200, 300]);
});

test('a hub whose log is shorter than what lies there publishes nothing, and says so once', async () => {
  const clock = handClock();
  const visible = new Visible();
  await clock.run(mirrored(await logOf(300), memoryFiles(visible), clock).close());
  const told: unknown[] = [];
  const log = await logOf(200);
  const mirror = mirrored(log, memoryFiles(visible), clock, { onError: (error) => told.push(error) });
  await clock.pass(300_000);
  assert.deepEqual(
    told.map((error) => (error as LedgerError).code),
    ['log-rewritten'],
  );
  assert.equal(readWhole(visible), 300);
  await log.append(entriesFrom(200, 150)); // it has caught up
  await clock.pass(61_000);
  assert.equal(readWhole(visible), 350);
  await clock.run(mirror.close());
});

test('where another log lies, nothing is published, now or later, and it says what differs', async () => {
  const other = openTransparencyLog(createMemoryLogStore(), createIdentity());
  await other.append(entriesFrom(0, 5));
  const rewritten = openTransparencyLog(createMemoryLogStore(), identity);
  await rewritten.append(entriesFrom(1000, 20));
  const forked = await logOf(10);
  await forked.append(entriesFrom(1000, 20));
  const notes = [
    (await other.checkpoint()).note,
    (await rewritten.checkpoint()).note,
    (await forked.checkpoint()).note,
  ];
  for (const there of [...notes, '<!doctype html><title>Not here</title>', '']) {
    const clock = handClock();
    const visible = new Map([['log/checkpoint', utf8(there)]]);
    const told: [unknown, string][] = [];
    const log = await logOf(40);
    const mirror = mirrored(log, memoryFiles(visible), clock, { onError: (...error) => told.push(error) });
    await clock.pass(60_000);
    await log.append(entriesFrom(40, 1));
    await clock.pass(60_000);
    await clock.run(mirror.close());
    assert.equal(told.length, 1, there);
    const [error, where] = told[0];
    assert.ok(error instanceof LedgerError && error.code === 'file-differs', String(error));
    assert.match(`${where}: ${error.message}`, /^publishing the log, which stops: log\/checkpoint that lies there/);
    assert.deepEqual([...visible.keys()], ['log/checkpoint']);
    assert.deepEqual(visible.get('log/checkpoint'), utf8(there));
  }
});

test('a tile that somebody has changed is not built upon', async () => {
  const clock = handClock();
  const visible = new Map([['log/tile/0/000', new Uint8Array(8192)]]);
  const told: unknown[] = [];
  const mirror = mirrored(await logOf(300), memoryFiles(visible), clock, { onError: (error) => told.push(error) });
  await clock.pass(60_000);
  await clock.run(mirror.close());
  assert.match(String(told), /log\/tile\/0\/000 is there with other bytes/);
  assert.equal(told.length, 1);
  assert.equal(visible.has('log/checkpoint'), false);
});

test('a store that is away is asked less and less often, is told of once each time, and has everything when it is back', async () => {
  const clock = handClock();
  const visible = new Visible();
  const good = memoryFiles(visible);
  let away = true;
  let asked = 0;
  const told: unknown[] = [];
  const get: PublicFiles['get'] = async (name) => {
    asked++;
    if (away) throw new LedgerError('read-failed', 'no route to host');
    return good.get(name);
  };
  const log = await logOf(5);
  const mirror = mirrored(log, { ...good, get }, clock, { onError: (error) => told.push(error) });
  await clock.pass(6000);
  assert.equal(told.length, 0, 'a request that fails now and then is nobody’s business');
  await clock.pass(600_000);
  assert.ok(asked < 20, `${asked} times in ten minutes`);
  assert.equal(told.length, 1);
  away = false;
  await clock.pass(61_000);
  assert.equal(readWhole(visible), 5);
  away = true;
  await log.append(entriesFrom(5, 1));
  await clock.pass(60_000);
  assert.equal(told.length, 2);
  away = false;
  await clock.run(mirror.close());
  assert.equal(readWhole(visible), 6, 'the last head is published at the end');
});

test('a store that never answers does not keep a hub from ending', async () => {
  const clock = handClock();
  const never = (): Promise<never> => new Promise(() => {});
  const mirror = mirrored(await logOf(5), { create: never, replace: never, get: never }, clock);
  await clock.run(mirror.close());
  assert.equal(clock.elapsed_ms(), 5000);
});

test('cosignatures are published with the head they are of, and never ahead of it', async () => {
  const clock = handClock();
  const visible = new Visible();
  const witness = createIdentity();
  const cosignatures = openCosignatures(hub);
  const log = await logOf(7);
  const mirror = mirrored(log, memoryFiles(visible), clock, { cosignatures });
  const text = (name: string): string => new TextDecoder().decode(visible.get(name));
  await clock.pass(1500);
  assert.equal(visible.has('log/cosigned'), false);
  const { note } = await log.checkpoint();
  cosignatures.add(await cosignCheckpoint(witness, witnessName(witness.id), note, 100));
  await clock.pass(1500);
  assert.equal(text('log/checkpoint'), cosignatures.join(note));
  assert.equal(text('log/cosigned'), cosignatures.largest());
  await log.append(entriesFrom(7, 3));
  await clock.pass(1500);
  assert.equal(text('log/checkpoint'), (await log.checkpoint()).note);
  assert.match(text('log/cosigned'), /\n7\n/);
  await clock.run(mirror.close());
});

test('what entries name is published before the head that has them', async () => {
  const clock = handClock();
  const visible = new Visible();
  const log = await logOf(7);
  const calls: string[] = [];
  const mirror = mirrored(log, memoryFiles(visible), clock, {
    named: async (from, to) => void calls.push(`${from} to ${to} at ${visible.heads.at(-1)}`),
  });
  await clock.pass(100);
  await log.append(entriesFrom(7, 3));
  await clock.run(mirror.close());
  assert.deepEqual(calls, ['0 to 7 at undefined', '7 to 10 at 7']);
});

test('partial files go when there are full ones, also those of a publisher before, and no sooner', async () => {
  const clock = handClock();
  const visible = new Visible();
  const log = await logOf(TILE_WIDTH + 10);
  const partial = (): string[] => [...visible.keys()].filter((name) => name.includes('.p/')).sort();
  await clock.run(mirrored(log, memoryFiles(visible), clock).close());
  const mirror = mirrored(log, memoryFiles(visible), clock);
  await log.append(entriesFrom(log.size, 10));
  await clock.pass(3000);
  const first = ['log/tile/0/001.p/10', 'log/tile/0/001.p/20', 'log/tile/1/000.p/1'];
  assert.deepEqual(partial(), [...first, 'log/tile/entries/001.p/10', 'log/tile/entries/001.p/20']);
  await log.append(entriesFrom(log.size, TILE_WIDTH));
  await clock.pass(3000);
  assert.deepEqual(partial(), [
    ...['log/tile/0/002.p/20', 'log/tile/1/000.p/1', 'log/tile/1/000.p/2', 'log/tile/entries/002.p/20'],
  ]);
  assert.equal(readWhole(visible), log.size);
  const { remove, ...without } = memoryFiles(visible);
  await clock.run(mirror.close());
  await log.append(entriesFrom(log.size, TILE_WIDTH));
  await clock.run(mirrored(log, without, clock).close());
  assert.ok(partial().includes('log/tile/entries/002.p/20'), 'a store that cannot remove keeps them');
});

test('a process that only follows publishes nothing, until it leads', async () => {
  const clock = handClock();
  const visible = new Visible();
  const log = await logOf(7);
  let leads = false;
  const mirror = mirrored(log, memoryFiles(visible), clock, { leads: () => leads });
  await clock.pass(30_000);
  assert.equal(visible.size, 0);
  leads = true;
  await clock.pass(1500);
  assert.equal(readWhole(visible), 7);
  leads = false;
  await log.append(entriesFrom(7, 3));
  await clock.run(mirror.close());
  assert.equal(readWhole(visible), 7);
});
