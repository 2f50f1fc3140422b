// A hub of the test's own process and runs of a tiny model on it: for tests whose subject is not how a process starts or ends.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Hub, type HubOptions, openHub } from '../src/hub/hub.ts';
import { byteTokenizer } from '../src/model/tokenizer.ts';
import { createRun } from '../src/owner/owner.ts';
import { type Essentials, trainingFor } from '../src/owner/run-settings.ts';
import { createIdentity, type Identity } from '../src/protocol/identity.ts';
import { TEXT } from './network.ts';

/** Closed, and its folder gone, when the test is over. */
export async function hubHere(t: TestContext, options: Partial<HubOptions> = {}): Promise<Hub> {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-hub-'));
  const hub = await openHub({ folder, host: '127.0.0.1', port: 0, ...options });
  t.after(async () => {
    await hub.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return hub;
}

/** A run of the model that network.ts calls tiny, by an owner of its own where none is given; resolves with its id. */
export async function tinyRun(
  url: string,
  {
    name = 'a run',
    width = 16,
    owner = createIdentity(),
    ...settings
  }: Partial<Essentials> & { readonly name?: string; readonly width?: number; readonly owner?: Identity } = {},
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-owner-'));
  const sizes = { batch: 4, context: 16, learning_rate: 0.01 };
  const times = { rounds: 60, round_seconds: 30, steps: 30, min_workers: 1 };
  try {
    return await createRun(url, owner, folder, {
      name,
      texts: [TEXT],
      tokenizer: byteTokenizer(),
      model: {
        ...{ num_hidden_layers: 1, hidden_size: width, intermediate_size: 2 * width, num_attention_heads: 2 },
        max_position_embeddings: settings.context ?? sizes.context,
      },
      seed: 'potluck',
      ...trainingFor({ ...times, ...sizes, ...settings }),
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
