// Events of one message: in their order, what they enclose before, each answered, and nothing proven before it is in the log.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../protocol/clock.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { HubError } from './errors.ts';
import { openRateLimits, RATES } from './rate-limits.ts';
import { takeTogether } from './together.ts';

const idOf = (i: number): string => sha256Hex(Uint8Array.of(i));
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A hub that writes nothing before it is told to. */
function scene({ burst = 100 } = {}) {
  const said: string[] = [];
  const writes: (() => void)[] = [];
  const take = async (bytes: Uint8Array, _: string | null, taken = (): void => {}) => {
    const [i] = bytes;
    said.push(`asked ${i}`);
    await tick();
    if (i === 13) throw new HubError('refused', 'no', { refusal: 'wrong-phase' });
    if (i === 99) throw new TypeError('a bug');
    said.push(`taken ${i}`);
    taken();
    await new Promise<void>((resolve) => writes.push(resolve));
    return { id: sha256Hex(bytes), index: i, bytes };
  };
  const rates = openRateLimits({ ...systemClock, elapsed_ms: () => 0 }, { event_address: { burst, per_second: 1 } });
  let kept = (): void => {};
  const options = {
    hub: {
      ...{ take, rates },
      prove: async (logged: readonly { readonly id: string; readonly index: number }[]) => ({
        checkpoint: 'head',
        of: logged.map(({ id: event, index }) => ({ event, index, proof: new Uint8Array() })),
      }),
    },
    address: '192.0.2.1',
    async takeEnclosed([i]: Uint8Array) {
      said.push(`keeps ${i}`);
      if (i === 66) throw new HubError('too-much', 'no room');
      await new Promise<void>((resolve) => {
        const before = kept;
        kept = () => [before(), resolve()];
      });
    },
    tell: ({ of }: { readonly of: readonly { readonly index: number }[] }) =>
      void said.push(`proven ${of.map(({ index }) => index)}`),
    refuse: ({ code }: { readonly code: string }, event: string) => void said.push(`${code} ${event.slice(0, 6)}`),
  };
  return { said, writes, keep: () => kept(), options };
}

test('each is in the state before the next is asked for, and all are proven together once they are written', async () => {
  const { said, writes, options } = scene();
  const done = takeTogether(
    [1, 2, 3].map((i) => ({ event: Uint8Array.of(i) })),
    options,
  );
  while (writes.length < 3) await tick();
  assert.deepEqual(said, ['asked 1', 'taken 1', 'asked 2', 'taken 2', 'asked 3', 'taken 3']);
  writes[2]();
  writes[0]();
  await tick();
  assert.equal(said.length, 6, 'nothing is proven while one of them is not written');
  writes[1]();
  await done;
  assert.deepEqual(said.slice(6), ['proven 1,2,3']);
});

test('what they enclose goes to the disk at once, and each waits for its own', async () => {
  const { said, writes, keep, options } = scene();
  const events = [1, 2].map((i) => ({ event: Uint8Array.of(i), enclosed: Uint8Array.of(i) }));
  const done = takeTogether([...events, { event: Uint8Array.of(3), enclosed: Uint8Array.of(66) }], options);
  for (let i = 0; i < 5; i++) await tick();
  assert.deepEqual(said, ['keeps 1', 'keeps 2', 'keeps 66']);
  keep();
  while (writes.length < 2) await tick();
  for (const write of writes) write();
  await done;
  assert.deepEqual(said.slice(3), [
    ...['asked 1', 'taken 1', 'asked 2', 'taken 2'],
    `too-much ${idOf(3).slice(0, 6)}`,
    'proven 1,2',
  ]);
});

test('a refused one keeps no other from the log, and is told while others wait for the disk', async () => {
  const { said, writes, options } = scene();
  const done = takeTogether(
    [1, 13, 2].map((i) => ({ event: Uint8Array.of(i) })),
    options,
  );
  while (writes.length < 2) await tick();
  assert.deepEqual(said.slice(2), ['asked 13', `refused ${idOf(13).slice(0, 6)}`, 'asked 2', 'taken 2']);
  for (const write of writes) write();
  await done;
  assert.equal(said.at(-1), 'proven 1,2');
  const none = scene();
  await takeTogether([{ event: Uint8Array.of(13) }], none.options);
  assert.deepEqual(none.said.slice(1), [`refused ${idOf(13).slice(0, 6)}`], 'nothing is proven of nothing');
});

test('each counts for its address', async () => {
  assert.ok(RATES.event_address.burst > 2);
  const { said, writes, options } = scene({ burst: 2 });
  const done = takeTogether(
    [1, 2, 3].map((i) => ({ event: Uint8Array.of(i), ...(i === 3 && { enclosed: Uint8Array.of(3) }) })),
    options,
  );
  while (writes.length < 2) await tick();
  for (const write of writes) write();
  await done;
  assert.deepEqual(said.slice(4), [`too-fast ${idOf(3).slice(0, 6)}`, 'proven 1,2']);
});

test('a bug ends the connection, and is not answered', async () => {
  const { said, writes, options } = scene();
  const done = takeTogether(
    [1, 99].map((i) => ({ event: Uint8Array.of(i) })),
    options,
  );
  while (said.length < 3) await tick();
  writes[0]();
  await assert.rejects(done, TypeError);
  assert.deepEqual(said, ['asked 1', 'taken 1', 'asked 99']);
});
