// A guarded game has every method of the game that it guards, and none that the game has not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { game as chain } from './addition-chain.ts';
import { guardGame } from './guard.ts';
import { game as pretrain } from './pretrain.ts';

test('a guarded game can do what the game can, and no more', () => {
  for (const game of [pretrain, chain]) {
    const has = (one: object): string[] =>
      Object.entries(one)
        .filter(([, value]) => value !== undefined)
        .map(([name]) => name)
        // Callers are served by games of this build alone, which no guard stands before.
        .filter((name) => name !== 'textModel')
        .sort();
    assert.deepEqual(has(guardGame(game)), has(game), game.name);
  }
});

test('work that goes on from other work is known through the guard, and a word that is no answer is none', () => {
  const guarded = (answer: unknown) =>
    guardGame({ ...chain, goesOn: () => answer as boolean }).goesOn!(new Uint8Array());
  assert.deepEqual([guarded(true), guarded(false), guarded('yes')], [true, false, false]);
});
