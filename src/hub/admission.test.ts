// What the hub looks at before the core is asked: sizes before bytes, and whose failure it is where work cannot be looked at.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventBody, LoggedEvent } from '../core/events.ts';
import { CORE_LIMITS } from '../core/limits.ts';
import { core } from '../core/reduce.ts';
import { initialState, type NetworkState, type RunState } from '../core/state.ts';
import { exampleVerdict } from '../core/testing/example-events.ts';
import { RUN, work } from '../core/testing/example-history.ts';
import { CodedError } from '../errors.ts';
import { createMemoryBlobStore } from '../ledger/blob-store.ts';
import { LedgerError } from '../ledger/errors.ts';
import { admit } from './admission.ts';
import { HubError } from './errors.ts';
import type { Models } from './models.ts';

const blobs = createMemoryBlobStore();
const unread = { ...blobs, get: () => assert.fail('read') };
const machine = { ...core, refusalOf: () => null };

/** Admits an event of which nothing but its blobs is wrong. */
function admitted(body: EventBody, store = blobs, checkForm = async (): Promise<void> => {}): Promise<void> {
  const event = { id: 'e', author: 'a', body } as LoggedEvent;
  const run = { spec: {} } as RunState;
  const state: NetworkState = {
    ...initialState('a'.repeat(64)),
    runs: new Map([['run' in body ? body.run : '', run]]),
  };
  const game = async () => ({ game: { sizes: () => ({ max_bytes: 100 }) } });
  return admit(event, state, machine, store, { game, checkForm } as unknown as Models);
}

test('evidence that is too large is refused unread', async () => {
  const most = CORE_LIMITS.evidence_bytes;
  const verdict = async (size_bytes: number) =>
    exampleVerdict(RUN, 's', 1, true, { evidence: await blobs.put(new Uint8Array(size_bytes)) });
  const message = `evidence: at most ${most} bytes, got ${most + 1}`;
  await assert.rejects(admitted(await verdict(most + 1), unread), { code: 'bad-evidence', message });
  await assert.rejects(admitted(await verdict(most)), { code: 'bad-evidence', message: /expected JSON/ });
  await assert.rejects(admitted(exampleVerdict(RUN, 's', 1)), { code: 'missing-blob' });
});

test('the hub reads no work: its size is that of the file, and its form is asked of the game by its name', async () => {
  const bytes = new Uint8Array(50);
  const named = { work: await blobs.put(bytes), size_bytes: 50 };
  await admitted(work(named), unread);
  await assert.rejects(admitted(work({ ...named, size_bytes: 49 }), unread), { code: 'wrong-size' });
  await assert.rejects(admitted(work({ ...named, size_bytes: 101 }), unread), { code: 'wrong-size' });
  await assert.rejects(admitted(work({ ...named, work: 'd'.repeat(64) }), unread), { code: 'missing-blob' });
});

test('what the hub or its disk fails at is not said of the work', async () => {
  const named = work({ work: await blobs.put(new Uint8Array(50)), size_bytes: 50 });
  const refused = (thrown: Error) => admitted(named, unread, () => Promise.reject(thrown));
  await assert.rejects(refused(new CodedError('bad-form', 'no')), { name: 'HubError', code: 'bad-work' });
  for (const own of [
    new LedgerError('blob-corrupt', 'damaged'),
    new HubError('missing-blob', 'gone'),
    new Error('?'),
  ]) {
    await assert.rejects(refused(own), own);
  }
});
