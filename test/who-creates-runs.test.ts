// Who may create runs on a hub that names its owners: everybody else hears why, and before anything is read or sent.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { EXAMPLE_WORDS } from '../src/core/testing/example-events.ts';
import { openHub } from '../src/hub/hub.ts';
import { byteTokenizer } from '../src/model/tokenizer.ts';
import { createRun } from '../src/owner/owner.ts';
import { trainingFor } from '../src/owner/run-settings.ts';
import { fetchStatus } from '../src/peer/find-run.ts';
import { sendEvent } from '../src/peer/send-event.ts';
import { signEvent } from '../src/protocol/envelope.ts';
import { createIdentity } from '../src/protocol/identity.ts';

test('who may not hears it from `run create` before anything is read or sent, and from the hub at the event', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'potluck-runs-'));
  const [named, stranger] = [createIdentity(), createIdentity()];
  const hub = await openHub({
    ...{ folder: join(root, 'hub'), host: '127.0.0.1', port: 0 },
    owners: [named.id],
    runs: 'named',
  });
  t.after(async () => {
    await hub.close();
    rmSync(root, { recursive: true, force: true });
  });
  const told: string[] = [];
  const plan = {
    ...{
      name: 'mine',
      texts: ['All work and no play makes Jack a dull boy. '.repeat(40)],
      tokenizer: byteTokenizer(),
      seed: 'x',
    },
    model: {
      hidden_size: 16,
      intermediate_size: 32,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      max_position_embeddings: 16,
    },
    ...trainingFor({
      rounds: 2,
      round_seconds: 60,
      steps: 2,
      batch: 2,
      context: 8,
      learning_rate: 0.01,
      min_workers: 9,
    }),
    onProgress: (what: string) => void told.push(what),
  };
  const refusal = {
    code: 'refused',
    details: { refusal: 'not-named' },
    message: new RegExp(`${stranger.id} is none; .*--owners ${stranger.id}`),
  };
  await assert.rejects(createRun(hub.url, stranger, join(root, 'cache'), plan), refusal);
  assert.deepEqual(told, []);
  const run = await createRun(hub.url, named, join(root, 'cache'), plan);

  // Whoever does not ask first hears it at the event.
  const { runs } = await fetchStatus(hub.url);
  assert.deepEqual(
    runs.map(({ run, owner }) => [run, owner]),
    [[run, named.id]],
  );
  const { schedule } = plan;
  const body = {
    type: 'run.created',
    version: 3,
    ...EXAMPLE_WORDS,
    name: 'x',
    game: 'pretrain',
    created_ms: 0,
    ...schedule,
  } as const;
  const event = await signEvent(stranger, { ...body, params: runs[0].params, model: runs[0].model });
  await assert.rejects(sendEvent(hub.url, event), refusal);
  await sendEvent(hub.url, await signEvent(named, { ...body, params: runs[0].params, model: runs[0].model }));
});
