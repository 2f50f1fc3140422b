// The way of an event into the log: what it costs its sender, that a run's place is asked for twice, and that asking again gets the same answer.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { core } from '../core/reduce.ts';
import { initialState } from '../core/state.ts';
import { EXAMPLE_WORDS } from '../core/testing/example-events.ts';
import { created, joined, tick } from '../core/testing/example-history.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import type { Receipt } from '../ledger/receipt.ts';
import { signEvent } from '../protocol/envelope.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { createIdentity } from '../protocol/identity.ts';
import { HubError } from './errors.ts';
import { openIntake, ratesOf } from './intake.ts';
import type { Models } from './models.ts';
import type { Sequencer } from './sequencer.ts';
import { unnamedBlobs } from './unnamed-blobs.ts';

test('what an event costs its sender beside what every event costs', () => {
  const costs = (body: ReturnType<typeof created>) => ratesOf({ id: 'i', author: 'a', body }, '192.0.2.1');
  assert.deepEqual(costs(created()), [['run_address', '192.0.2.1']]);
  const both = [
    ['join_key', 'a'],
    ['join_address', '192.0.2.1'],
  ];
  assert.deepEqual(costs(joined()), both);
  assert.deepEqual(costs(tick(1)), []);
});

describe('a run', () => {
  const author = createIdentity();
  /** A hub with one place for a run; `meanwhile` happens while the run's blobs are read. */
  const scene = (meanwhile = (_: { place: boolean }): void => {}, leads = true) => {
    const now = { place: true };
    let write = (): void => {};
    const durable = new Promise<void>((resolve) => {
      write = resolve;
    });
    const said: string[] = [];
    const full = () => new HubError('refused', 'no place', { refusal: 'too-many-runs' });
    const written = new Map<string, number>();
    const sequencer: Partial<Sequencer> = {
      leads,
      caughtUp: async () => {},
      state: initialState('a'.repeat(64)),
      submit: async (bytes, event) => {
        said.push('written');
        if (said.includes('slow disk')) await durable;
        return { event: event!, index: written.set(sha256Hex(bytes), 0).size - 1 };
      },
      settled: async () => {},
      indexOf: async (id) => written.get(id),
    };
    const intake = openIntake({
      sequencer: sequencer as Sequencer,
      log: {
        receipt: async (index) => ({ index }) as Receipt,
        proofs: () => Promise.reject(new Error('asked for none')),
      },
      machine: { ...core, refusalOf: () => null },
      blobs: {} as BlobStore,
      models: {
        game: async () => ({ game: { ...EXAMPLE_WORDS, sizes() {} } }),
        checkFirst: async () => meanwhile(now),
      } as unknown as Models,
      unnamed: unnamedBlobs(),
      rates: { take: (rate) => void said.push(rate) },
      policy: {
        ...{ refusal: () => null, inTheWay: () => null, created: () => void said.push('noted') },
        check() {
          if (!now.place) throw full();
        },
      },
      abandoned: {
        now_ms: () => 0,
        wanted: () => void said.push('wanted'),
        makeRoom: async () => void said.push('room'),
      },
    });
    const take = (bytes: Uint8Array) => intake.take(bytes, null, () => void said.push('taken'));
    return {
      now,
      said,
      write: () => write(),
      take,
      send: async (bytes: Uint8Array) => intake.submit(bytes, '192.0.2.1'),
    };
  };

  test('is refused where it names another unit or other metrics than its game', async () => {
    const { said, send } = scene();
    const [metric] = EXAMPLE_WORDS.metrics;
    for (const more of [
      { unit: 'hashes' },
      { metrics: [{ ...metric, better: 'higher' as const }] },
      { metrics: [metric, { ...metric, name: 'other' }] },
    ]) {
      await assert.rejects(send(await signEvent(author, created(more))), { code: 'other-words' });
    }
    assert.ok(!said.includes('written'));
  });

  test('is refused where it names stages that its game does not have', async () => {
    const { said, send } = scene();
    await assert.rejects(send(await signEvent(author, created({ stages: 2, checkpoint_every: 1 }))), {
      code: 'other-stages',
      message: /names 2 stages, its game pretrain cuts its model into 0/,
    });
    assert.ok(!said.includes('written'));
  });

  test('comes in where there is a place', async () => {
    const { said, send } = scene();
    assert.equal((await send(await signEvent(author, created()))).index, 0);
    assert.deepEqual(said, ['event_key', 'run_address', 'room', 'noted', 'written']);
  });

  test('is refused where there is none, before anything is read, and somebody is known to want one', async () => {
    const { now, said, send } = scene();
    now.place = false;
    await assert.rejects(send(await signEvent(author, created())), { code: 'refused' });
    assert.deepEqual(said, ['event_key', 'wanted']);
  });

  test('is refused where another has taken its place while its blobs were read', async () => {
    const { said, send } = scene((now) => {
      now.place = false;
    });
    await assert.rejects(send(await signEvent(author, created())), { code: 'refused' });
    assert.deepEqual(said, ['event_key', 'run_address', 'room', 'wanted']);
  });

  test('that is sent again, and refused because it is there, gets the answer that it got', async () => {
    const { now, send } = scene();
    const bytes = await signEvent(author, created());
    const first = await send(bytes);
    now.place = false;
    assert.deepEqual(await send(bytes), first);
  });

  test('lets the next event follow when it is in the state and not durable yet, where this process leads', async () => {
    for (const leads of [true, false]) {
      const { said, write, take } = scene(undefined, leads);
      said.push('slow disk');
      let isDone = false;
      const done = take(await signEvent(author, created())).then(() => {
        isDone = true;
      });
      await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual([said.slice(-1 - Number(leads)), isDone], [leads ? ['written', 'taken'] : ['written'], false]);
      write();
      await done;
    }
  });
});
