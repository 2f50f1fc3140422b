// A hub's folder: a damaged one gives one clear error and stays as it is, a failed start leaves it free, and a restart loses nothing.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { decodeEvent } from '../core/codec.ts';
import type { EventBody } from '../core/events.ts';
import { core, type StateMachine } from '../core/reduce.ts';
import { CodedError } from '../errors.ts';
import { createMemoryLogStore } from '../ledger/testing/memory-log.ts';
import { eventId, signEvent } from '../protocol/envelope.ts';
import { createIdentity } from '../protocol/identity.ts';
import { HubError } from './errors.ts';
import { type Hub, openHub } from './hub.ts';
import { openSequencer } from './sequencer.ts';

const root = mkdtempSync(join(tmpdir(), 'potluck-hub-'));
after(() => rmSync(root, { recursive: true, force: true }));

const open = (folder: string, port = 0): Promise<Hub> => openHub({ folder, host: '127.0.0.1', port });

const tick = (time_ms: number): EventBody => ({ type: 'tick', version: 1, time_ms });

describe('a folder', () => {
  const whole = join(root, 'whole');
  before(async () => {
    const hub = await open(whole);
    await hub.close();
  });

  test('is its owner’s alone', { skip: process.platform === 'win32' }, async () => {
    const folder = join(root, 'private');
    const hub = await open(folder);
    const modes = ['', 'blobs', 'hub.sqlite', 'hub.sqlite-wal', 'hub.key'].map(
      (name) => statSync(join(folder, name)).mode & 0o777,
    );
    await hub.close();
    assert.deepEqual(modes, [0o700, 0o700, 0o600, 0o600, 0o600]);
  });

  const damaged = (name: string, damage: (folder: string) => void): string => {
    const folder = join(root, name);
    cpSync(whole, folder, { recursive: true });
    damage(folder);
    return folder;
  };

  const cases: [string, (folder: string) => void, string, RegExp][] = [
    [
      'whose log is no database',
      (f) => writeFileSync(join(f, 'hub.sqlite'), 'x'.repeat(5000)),
      'log-corrupt',
      /hub\.sqlite/,
    ],
    ['whose log is another program’s', (f) => foreign(join(f, 'hub.sqlite')), 'log-corrupt', /no log of Potluck/],
    ['whose key is damaged', (f) => writeFileSync(join(f, 'hub.key'), '{}'), 'identity-file-corrupt', /hub\.key/],
    [
      'whose log begins in the middle',
      (f) => edit(f, "INSERT INTO entries (idx, bytes) VALUES (3, x'00')"),
      'log-corrupt',
      /first entry has index 3/,
    ],
    [
      'whose log holds no event',
      (f) => edit(f, "INSERT INTO entries (idx, bytes, batch) VALUES (0, x'0011', 0)"),
      'bad-folder',
      /event 0 of the log is damaged: event: expected at least/,
    ],
  ];
  for (const [name, damage, code, message] of cases) {
    test(name, async () => {
      const folder = damaged(name, damage);
      await assert.rejects(
        () => open(folder),
        (error) =>
          error instanceof CodedError &&
          error.code === code &&
          message.test(error.message) &&
          !/\n/.test(error.message),
      );
    });
  }

  test('that is a file', async () => {
    const file = join(root, 'file');
    writeFileSync(file, '');
    await assert.rejects(() => open(file), { code: 'bad-folder' });
  });

  test('that another hub has open', async () => {
    const hub = await open(whole);
    await assert.rejects(() => open(whole), { code: 'log-locked' });
    await hub.close();
    await (await open(whole)).close();
  });

  test('is free again when the port was taken', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    await assert.rejects(() => open(whole, port), {
      code: 'port-taken',
      message: new RegExp(`port ${port} .* is taken`),
    });
    server.close();
    const hub = await open(whole, port);
    assert.equal(new URL(hub.url).port, String(port));
    await hub.close();
  });

  test('keeps its name', async () => {
    const first = await open(whole);
    await first.close();
    const copy = join(root, 'copy');
    cpSync(whole, copy, { recursive: true });
    const second = await open(copy);
    assert.equal(second.id, first.id);
    await second.close();
    assert.ok(readdirSync(copy).includes('hub.key'));
    assert.equal(JSON.parse(readFileSync(join(copy, 'hub.key'), 'utf8')).id, first.id);
  });
});

function foreign(file: string): void {
  rmSync(file);
  const database = new DatabaseSync(file);
  database.exec('CREATE TABLE cats (name TEXT)');
  database.close();
}

function edit(folder: string, sql: string): void {
  const database = new DatabaseSync(join(folder, 'hub.sqlite'));
  database.exec(sql);
  database.close();
}

describe('the sequencer', () => {
  test('answers after the event is durable, in the order of the log', async () => {
    const identity = createIdentity();
    const sequencer = openSequencer(createMemoryLogStore(), identity);
    const heard: number[] = [];
    sequencer.onEvent((_, index) => heard.push(index));
    const answers = await Promise.all([1, 2, 3, 4].map((time_ms) => sequencer.write(tick(time_ms))));
    assert.deepEqual(
      answers.map(({ index }) => index),
      [0, 1, 2, 3],
    );
    assert.deepEqual(heard, [0, 1, 2, 3]);
    assert.equal(await sequencer.indexOf(answers[2].event.id), 2);
    assert.equal(await sequencer.indexOf('f'.repeat(64)), undefined);
  });

  test('an event that comes again before it is durable gets the answer of the first, and is in the log once', async () => {
    const identity = createIdentity();
    const log = createMemoryLogStore();
    const sequencer = openSequencer(log, identity);
    const event = await signEvent(identity, tick(5));
    const id = eventId(event);
    const answers = await Promise.all([sequencer.submit(event), sequencer.submit(event), sequencer.indexOf(id)]);
    assert.deepEqual([answers[0].index, answers[1].index, answers[2], log.size], [0, 0, 0, 1]);
    assert.equal(await sequencer.indexOf(id), 0);
  });

  test('knows the last 16,384 events by their ids, and none before', async () => {
    const hub = createIdentity();
    // A log's own signatures are not verified again.
    const unsigned = { id: hub.id, sign: async () => new Uint8Array(64) };
    const remembered = 16_384;
    const events: Uint8Array[] = [];
    for (let time_ms = 1; time_ms <= remembered + 3; time_ms++) events.push(await signEvent(unsigned, tick(time_ms)));
    const log = createMemoryLogStore();
    for (let from = 0; from < events.length; from += 5000) await log.append(events.slice(from, from + 5000));
    const sequencer = openSequencer(log, hub);
    const known = [0, 2, 3, remembered, remembered + 2].map((index) => sequencer.indexOf(eventId(events[index])));
    assert.deepEqual(await Promise.all(known), [undefined, undefined, 3, remembered, remembered + 2]);
    await sequencer.write(tick(remembered + 4));
    assert.equal(await sequencer.indexOf(eventId(events[3])), undefined);
    assert.equal(await sequencer.indexOf(eventId(events[4])), 4);
  });

  test('goes on from its log, and refuses one that cannot be', async () => {
    const identity = createIdentity();
    const log = createMemoryLogStore();
    const { event } = await openSequencer(log, identity).write(tick(7));
    const again = openSequencer(log, identity);
    assert.deepEqual([again.state.time_ms, again.state.events, await again.indexOf(event.id)], [7, 1, 0]);
    await log.append([await signEvent(identity, tick(3))]);
    assert.throws(
      () => openSequencer(log, identity),
      (error) =>
        error instanceof HubError && error.code === 'bad-folder' && /event 1 .* cannot follow/.test(error.message),
    );
    assert.throws(() => openSequencer(log, createIdentity()), { code: 'bad-folder', message: /event 0/ });
    const [damaged, older] = [createMemoryLogStore(), createMemoryLogStore()];
    await damaged.append([new Uint8Array(9)]);
    assert.throws(() => openSequencer(damaged, identity), {
      code: 'bad-folder',
      message: /^event 0 of the log is damaged/,
    });
    await older.append([await signEvent(identity, { type: 'model.evaluated', version: 1 } as never)]);
    const begin =
      /^event 0 .*an older Potluck wrote this model\.evaluated.*; start the one that wrote this log, or begin/;
    assert.throws(() => openSequencer(older, identity), { code: 'bad-folder', message: begin });
  });

  test('takes in the bytes whose signature was verified, and no others', async () => {
    const identity = createIdentity();
    const sequencer = openSequencer(createMemoryLogStore(), identity);
    const [first, second] = await Promise.all([1, 2].map((time_ms) => signEvent(identity, tick(time_ms))));
    await assert.rejects(sequencer.submit(first, decodeEvent(second)), /those whose signature was verified/);
    assert.equal(sequencer.state.events, 0);
    assert.equal((await sequencer.submit(first, decodeEvent(first))).index, 0);
  });

  test('ends, and answers nobody, when the log has put an event elsewhere than the state took it in', async () => {
    const identity = createIdentity();
    const log = createMemoryLogStore();
    const astray = { ...log, append: async (entries: readonly Uint8Array[]) => (await log.append(entries)) + 1 };
    const sequencer = openSequencer(Object.defineProperty(astray, 'size', { get: () => log.size }), identity);
    const heard: number[] = [];
    sequencer.onEvent((_, index) => heard.push(index));
    await assert.rejects(sequencer.write(tick(1)), /in the order in which the state took them in/);
    assert.deepEqual([heard, sequencer.standing], [[], 'log-failed']);
  });

  test('takes nothing more after the log has failed, and what was acknowledged stands', async () => {
    const identity = createIdentity();
    const log = createMemoryLogStore();
    let full = false;
    const failing = {
      get size() {
        return log.size;
      },
      read: log.read.bind(log),
      append: (entries: readonly Uint8Array[]) => (full ? Promise.reject(new Error('disk full')) : log.append(entries)),
    };
    const sequencer = openSequencer(failing, identity);
    await sequencer.write(tick(1));
    full = true;
    await assert.rejects(() => sequencer.write(tick(2)), /disk full/);
    full = false;
    await assert.rejects(() => sequencer.write(tick(3)), { code: 'log-failed' });
    assert.equal(log.size, 1);
    assert.equal(openSequencer(log, identity).state.time_ms, 1);
  });

  test('ends where the core makes a mistake: nobody is answered, and the log stays as sound as it was', async () => {
    const identity = createIdentity();
    const log = createMemoryLogStore();
    const machine: StateMachine = {
      refusalOf: core.refusalOf,
      apply(state, event) {
        const refusal = core.apply(state, event);
        if (state.time_ms === 2) state.time_ms++;
        return refusal;
      },
    };
    const sequencer = openSequencer(log, identity, { machine });
    const told: unknown[] = [];
    sequencer.onStanding((standing, error) => told.push(standing, (error as Error).message));
    await sequencer.write(tick(1));
    const mistake = { code: 'log-failed', message: /a mistake at event 1 .*: time went from 1 to 3/ };
    await assert.rejects(() => sequencer.write(tick(2)), mistake);
    await assert.rejects(() => sequencer.write(tick(4)), { code: 'log-failed' });
    assert.deepEqual([told.length, told[0]], [2, 'log-failed']);
    assert.match(String(told[1]), mistake.message);
    assert.equal(log.size, 1);
    assert.equal(openSequencer(log, identity).state.time_ms, 1);
  });

  test('does not start on a state that cannot be', async () => {
    const identity = createIdentity();
    const log = createMemoryLogStore();
    await openSequencer(log, identity).write(tick(1));
    const machine: StateMachine = {
      refusalOf: core.refusalOf,
      apply(state, event) {
        const refusal = core.apply(state, event);
        state.time_ms = 0.5;
        return refusal;
      },
    };
    assert.throws(() => openSequencer(log, identity, { machine }), {
      code: 'bad-folder',
      message: /cannot be: event 1/,
    });
  });

  test('takes nothing more after it was closed', async () => {
    const sequencer = openSequencer(createMemoryLogStore(), createIdentity());
    await sequencer.close();
    await assert.rejects(() => sequencer.write(tick(1)), { code: 'closing' });
  });
});

test('a hub ends, although devices go on coming while it does', { timeout: 60_000 }, async (t) => {
  const hub = await open(join(root, 'ended'));
  const { hostname, port } = new URL(hub.url);
  const sockets = new Set<Socket>();
  let upgraded = 0;
  const come = (): void => {
    const socket = connect(Number(port), hostname);
    sockets.add(socket.on('error', () => {})); // the hub has gone
    socket.once('data', (answer) => {
      if (answer.toString('latin1').startsWith('HTTP/1.1 101')) upgraded++;
    });
    const key = randomBytes(16).toString('base64');
    socket.write(`GET /ws HTTP/1.1\r\nhost: ${hostname}:${port}\r\nconnection: upgrade\r\nupgrade: websocket\r\n`);
    socket.write(`sec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\n\r\n`);
  };
  let coming = true;
  t.after(() => {
    coming = false;
    for (const socket of sockets) socket.destroy();
  });
  const goOn = (): void => {
    if (!coming) return;
    come();
    setImmediate(goOn);
  };
  goOn();
  while (upgraded < 20) await nextTurn();
  const before_ms = performance.now();
  await hub.close();
  coming = false;
  const took_ms = performance.now() - before_ms;
  assert.ok(took_ms < 8000, `${took_ms} ms: whoever says nothing for ten seconds is closed anyway`);
});
