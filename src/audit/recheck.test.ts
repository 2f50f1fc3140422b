// Work judged again from a log to which its run came from another one: from the models that it brought, unless its worker went on from work that stayed there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { encodeBundle } from '../games/bundle.ts';
import type { AnyGame } from '../games/game.ts';
import { sha256Hex } from '../protocol/hash.ts';
import type { Runtime } from '../tensor/runtime.ts';
import type { PublicLog } from './public-log.ts';
import { recheckSubmission } from './recheck.ts';
import { ExampleLog, publicLogOf, SETTINGS } from './testing/example-log.ts';
import { move } from './testing/moved-log.ts';

/** The settings are the first model too: a state is one byte, and each merge adds one to it. */
const FIRST = new TextEncoder().encode('{}');
const modelAfter = (merges: number): string => sha256Hex(Uint8Array.of(FIRST[0] + merges));

/** @param goes_on what its workers say of their work; `states` gathers the models on which work was judged */
const gameThat = (goes_on: boolean, states: number[]): AnyGame =>
  ({
    ...{ name: 'adding', unit: 'bytes', metrics: [], params: z.strictObject({}), goesOn: () => goes_on },
    decodeState: (_params: unknown, bytes: Uint8Array) => bytes[0],
    encodeState: (_params: unknown, state: number) => Uint8Array.of(state),
    merge: (_params: unknown, state: number) => state + 1,
    async task(_params: unknown, _round: unknown, _worker: unknown, state: number) {
      states.push(state - FIRST[0]);
    },
    check: async () => ({ accepted: true, code: 'good' }),
  }) as unknown as AnyGame;

async function logOfBoth(): Promise<{ log: PublicLog; ids: string[] }> {
  const a = new ExampleLog();
  await a.begin();
  for (let round = 1; round <= 2; round++) await a.playRound([], modelAfter(round));
  const b = new ExampleLog(3, a);
  await move(a, b);
  for (let round = 3; round <= 4; round++) await b.playRound([], modelAfter(round));
  const work = encodeBundle([{ work: Uint8Array.of(1), weight: 1 }]);
  const blob = async (hash: string) => (hash === SETTINGS ? FIRST : work);
  const [worker] = b.workers;
  const ids = b.entries.flatMap(({ event: { id, author, body } }) =>
    body.type === 'work.submitted' && author === worker.identity.id ? [id] : [],
  );
  return { log: { ...(await publicLogOf(b.log)), blob }, ids };
}

test('from the last whole model that the run brought, by the merges since', async () => {
  const { log, ids } = await logOfBoth();
  for (const [i, id] of ids.entries()) {
    const states: number[] = [];
    const options = { runtime: { class: 'none' } as unknown as Runtime, run: undefined as never };
    const loadGame = async () => gameThat(false, states);
    const { rounds, agrees } = await recheckSubmission(log, id, { ...options, loadGame });
    assert.deepEqual(
      rounds.map(({ round }) => round),
      [2 + i],
    );
    assert.deepEqual([states, agrees], [[2 + i], true]);
  }
});

test('a worker that went on from work in the other log cannot be judged from this one', async () => {
  const { log, ids } = await logOfBoth();
  for (const id of ids) {
    const options = { runtime: { class: 'none' } as unknown as Runtime, run: undefined as never };
    await assert.rejects(recheckSubmission(log, id, { ...options, loadGame: async () => gameThat(true, []) }), {
      code: 'not-in-the-log',
    });
  }
});
