// A small model that really answers, behind the API on a free port of this machine: for tests with real clients.
import { randomBytes } from 'node:crypto';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { type LlamaConfigInput, LlamaConfigSchema } from '../../model/config.ts';
import { initialWeights } from '../../model/init.ts';
import { byteTokenizer } from '../../model/tokenizer.ts';
import { systemClock } from '../../protocol/clock.ts';
import { createNativeRuntime } from '../../tensor/native-runtime.ts';
import { type ClosingServer, openAnswerServer, type ServedModel } from '../answer-server.ts';
import type { AnswerServer } from '../answers.ts';
import { type ApiOptions, openaiApi } from '../api/app.ts';
import { openChat } from '../chat.ts';
import { CHAT_TEMPLATES } from '../chat-templates.ts';
import { openOwnEngine } from '../engine-own.ts';

/** Large enough for a prompt and an answer, small enough that a token takes a millisecond. */
const SMALL = {
  ...{ vocab_size: 257, hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2 },
  ...{ num_attention_heads: 4, num_key_value_heads: 2, max_position_embeddings: 2048 },
} satisfies LlamaConfigInput;
/** For all answers that are written at the same time. */
const CACHE_TOKENS = 2048;

/** A model with random weights, which writes random bytes; `changes` its offer. */
export async function smallServer(changes: Partial<ServedModel> = {}): Promise<ClosingServer> {
  const config = LlamaConfigSchema.parse(SMALL);
  const runtime = await createNativeRuntime({ threads: 1 });
  const model = { config, weights: initialWeights(config, 'small'), tokenizer: byteTokenizer(), hash: '5'.repeat(64) };
  const engine = await openOwnEngine(runtime, model, { cache_tokens: CACHE_TOKENS });
  const server = openAnswerServer([
    {
      engine,
      name: 'small',
      licence: 'Apache-2.0',
      created_ms: Date.UTC(2026, 0, 1),
      ...openChat(CHAT_TEMPLATES.plain, engine.model.tokens),
      ...changes,
    },
  ]);
  return {
    ...server,
    async close() {
      await server.close();
      await runtime.close();
    },
  };
}

export interface ListeningApi {
  /** The address that clients are given. */
  readonly base_url: string;
  /** What went wrong in the server itself. */
  readonly errors: unknown[];
  readonly http: Server;
  close(): Promise<void>;
}

/** Serves the API for a test. */
export async function listeningApi(server: AnswerServer, options: Partial<ApiOptions> = {}): Promise<ListeningApi> {
  const errors: unknown[] = [];
  const app = openaiApi(server, {
    clock: systemClock,
    newId: () => randomBytes(12).toString('hex'),
    keys: null,
    onError: (error) => errors.push(error),
    ...options,
  });
  const http = createAdaptorServer({ fetch: app.fetch }) as Server;
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return {
    base_url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/v1`,
    errors,
    http,
    async close() {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}
