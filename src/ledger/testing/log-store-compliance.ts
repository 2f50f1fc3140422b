// Compliance tests for every LogStore. Each implementation's test file calls them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LedgerError, type LedgerErrorCode } from '../errors.ts';
import { type LogStore, MAX_ENTRY_BYTES, SNAPSHOTS_KEPT } from '../log-store.ts';

export const throwsWith = (step: () => unknown, code: LedgerErrorCode) =>
  assert.throws(step, (error) => {
    assert.ok(error instanceof LedgerError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  });

const rejectsWith = (step: Promise<unknown>, code: LedgerErrorCode) =>
  assert.rejects(step, (error) => error instanceof LedgerError && error.code === code);

const entry = (text: string) => new TextEncoder().encode(text);

/**
 * @param open makes an empty log
 * @param reopen closes a log and opens the same again; undefined for a log that ends with the process
 */
export function logStoreCompliance(
  name: string,
  open: () => LogStore | Promise<LogStore>,
  reopen?: (log: LogStore) => Promise<LogStore>,
): void {
  test(`${name}: entries come back in the order of the calls, whatever was waited for`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 5 }), fc.boolean()), {
          maxLength: 12,
        }),
        async (calls) => {
          const log = await open();
          const expected: Uint8Array[] = [];
          const resolved: number[] = [];
          const pending: Promise<void>[] = [];
          for (const [entries, wait] of calls) {
            const first = expected.length;
            expected.push(...entries);
            const order = pending.length;
            const call = log.append(entries).then((index) => {
              assert.equal(index, first);
              assert.ok(log.size >= first + entries.length, 'acknowledged before it is counted');
              resolved.push(order);
            });
            pending.push(call);
            if (wait) await call;
          }
          await Promise.all(pending);
          assert.deepEqual(
            resolved,
            pending.map((_, i) => i),
            'calls must resolve in order',
          );
          assert.equal(log.size, expected.length);
          assert.deepEqual(log.read(0, expected.length), expected);
          const again = reopen ? await reopen(log) : log;
          assert.equal(again.size, expected.length);
          assert.deepEqual(again.read(0, expected.length), expected);
          await again.close();
        },
      ),
      { numRuns: 20 },
    );
  });

  test(`${name}: ranges`, async () => {
    const log = await open();
    await log.append(['a', 'b', 'c', 'd'].map(entry));
    assert.deepEqual(log.read(1, 3), ['b', 'c'].map(entry));
    assert.deepEqual(log.read(4, 4), []);
    const bad: [number, number][] = [
      [-1, 2],
      [2, 1],
      [0, 5],
      [5, 5],
      [0.5, 1],
      [0, NaN],
      [Number.NEGATIVE_INFINITY, 1],
    ];
    for (const [from, to] of bad) throwsWith(() => log.read(from, to), 'out-of-range');
    await log.close();
  });

  test(`${name}: a call with a bad entry appends nothing of itself, and harms no other call`, async () => {
    const log = await open();
    const before = log.append([entry('before')]);
    for (const bad of [new Uint8Array(0), new Uint8Array(MAX_ENTRY_BYTES + 1), 'text' as unknown as Uint8Array]) {
      await rejectsWith(log.append([entry('good'), bad]), 'bad-entry');
    }
    const after = log.append([new Uint8Array(MAX_ENTRY_BYTES)]);
    assert.deepEqual(await Promise.all([before, after]), [0, 1]);
    assert.equal(log.size, 2);
    await log.close();
  });

  test(`${name}: what a caller does with its arrays afterwards changes nothing`, async () => {
    const log = await open();
    const bytes = Buffer.from('abc');
    const list = [bytes];
    const appended = log.append(list);
    bytes.fill(0);
    list.push(Buffer.from('later'));
    await appended;
    assert.equal(log.size, 1);
    log.read(0, 1)[0].fill(7);
    assert.deepEqual(log.read(0, 1), [entry('abc')]);
    await log.close();
  });

  test(`${name}: the latest snapshots of each name`, async () => {
    let log = await open();
    assert.deepEqual(log.snapshots('state'), []);
    await log.append(Array.from({ length: 10 }, (_, i) => Uint8Array.of(i)));
    for (let size = 0; size <= 3 + SNAPSHOTS_KEPT; size++) log.putSnapshot('state', size, Uint8Array.of(size, 1));
    log.putSnapshot('other', 1, Uint8Array.of(9));
    log.putSnapshot('state', 4, Uint8Array.of(4, 2));
    log.putSnapshot('empty', 10, new Uint8Array(0));
    if (reopen) log = await reopen(log);
    assert.deepEqual(log.snapshots('state'), [
      { size: 5, bytes: Uint8Array.of(5, 1) },
      { size: 4, bytes: Uint8Array.of(4, 2) },
    ]);
    assert.deepEqual(log.snapshots('other'), [{ size: 1, bytes: Uint8Array.of(9) }]);
    assert.deepEqual(log.snapshots('empty'), [{ size: 10, bytes: new Uint8Array(0) }]);
    for (const size of [-1, 11, 0.5])
      throwsWith(() => log.putSnapshot('state', size, Uint8Array.of(1)), 'out-of-range');
    await log.close();
  });

  test(`${name}: derived bytes are there at once, and after an orderly close`, async () => {
    let log = await open();
    assert.equal(log.getDerived('tile/0/0'), null);
    const bytes = Buffer.from([1, 2]);
    log.putDerived('tile/0/0', bytes);
    bytes.fill(0);
    assert.deepEqual(log.getDerived('tile/0/0'), Uint8Array.of(1, 2));
    await log.append([entry('a')]);
    log.putDerived('tile/0/1', Uint8Array.of(3));
    log.putDerived('tile/0/0', Uint8Array.of(4));
    if (reopen) log = await reopen(log);
    assert.deepEqual(log.getDerived('tile/0/0'), Uint8Array.of(4));
    assert.deepEqual(log.getDerived('tile/0/1'), Uint8Array.of(3));
    await log.close();
  });

  test(`${name}: closing commits what waits; later calls are refused`, async () => {
    const log = await open();
    const waiting = log.append([entry('a')]);
    await log.close();
    assert.equal(await waiting, 0);
    await log.close();
    await rejectsWith(log.append([entry('b')]), 'closed');
    throwsWith(() => log.read(0, 0), 'closed');
    throwsWith(() => log.putSnapshot('s', 0, entry('b')), 'closed');
    throwsWith(() => log.snapshots('s'), 'closed');
    throwsWith(() => log.putDerived('s', entry('b')), 'closed');
    throwsWith(() => log.getDerived('s'), 'closed');
  });
}
