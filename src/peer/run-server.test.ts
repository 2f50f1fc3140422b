// A run's model that cannot be served gives its memory back, and is told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnyGame, Device } from '../games/game.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { systemClock } from '../protocol/clock.ts';
import type { RunView } from '../protocol/messages.ts';
import type { Engine } from '../serving/engine.ts';
import { tokenTable } from '../serving/token-table.ts';
import { openRunServer } from './run-server.ts';

test('an engine whose weights the pool cannot judge is closed again', async () => {
  const closed = Promise.withResolvers<void>();
  const problem = Promise.withResolvers<string>();
  const engine: Engine = {
    ...{ name: 'own', class: 'own', free_tokens: 1000 },
    model: {
      ...{ hash: 'a'.repeat(64), quantisation: 'q2_k', context_tokens: 500 },
      tokens: tokenTable(byteTokenizer(), 257),
    },
    openSequence: () => assert.fail('nothing is written'),
    close: async () => closed.resolve(),
  };
  const server = openRunServer({
    ...{ clock: systemClock, places: 1, params: null, device: {} as Device },
    game: { textModel: async () => ({}) } as unknown as AnyGame,
    serving: { serve: (model) => assert.equal(model, null) },
    follow: async () => null,
    openEngine: async () => engine,
    onServes: () => assert.fail('nothing is served'),
    onProblem: (code, message) => problem.resolve(`${code}: ${message}`),
  });
  server.onView({ model: 'a'.repeat(64), phase: 'working' } as RunView);
  assert.match(await problem.promise, /^unsupported: .*q2_k/);
  await closed.promise;
  await server.close();
});

test('a device says why it serves nothing of a game whose states write no text, or that nobody holds whole', async () => {
  const said = async (game: object): Promise<string> => {
    const problem = Promise.withResolvers<string>();
    const server = openRunServer({
      ...{ clock: systemClock, places: 1, params: null, device: {} as Device },
      game: game as unknown as AnyGame,
      serving: { serve: (model) => assert.equal(model, null) },
      follow: () => assert.fail('nothing is loaded'),
      openEngine: () => assert.fail('nothing is loaded'),
      onServes: () => assert.fail('nothing is served'),
      onProblem: (_code, message) => problem.resolve(message),
    });
    server.onView({ model: 'a'.repeat(64), phase: 'working' } as RunView);
    await server.close();
    return problem.promise;
  };
  assert.match(await said({ name: 'counts' }), /a state of the game counts writes no text/);
  assert.match(await said({ name: 'cut', tensors: () => [], stages: () => 2 }), /in stages.*"potluck serve" does/);
});
