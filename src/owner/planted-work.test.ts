// Planted work: its pledge looks like any other, opens only to what its owner meant, and is opened only where an honest judge had to know.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pledgeOf } from '../core/rounds/judging.ts';
import { game } from '../games/addition-chain.ts';
import type { Round, Verdict } from '../games/game.ts';
import { identityFromSecret } from '../protocol/identity.ts';
import { isFitToReveal, plantedGame, plantPledge, plantReveal } from './planted-work.ts';

const hash = (character: string): string => character.repeat(64);
const owner = identityFromSecret(new Uint8Array(32).fill(1));
const stranger = identityFromSecret(new Uint8Array(32).fill(2));
const plant = { run: hash('a'), work: hash('b'), accepted: false };

test('the owner opens the pledge, also after a restart; another verdict, work, run or owner has another pledge', async () => {
  const pledge = await plantPledge(owner, plant);
  const reveal = await plantReveal(owner, plant, hash('c'));
  assert.equal(pledgeOf(owner.id, reveal.salt, reveal.accepted), pledge);
  assert.notEqual(pledgeOf(owner.id, reveal.salt, !reveal.accepted), pledge);
  const others = [
    { ...plant, accepted: true },
    { ...plant, work: hash('d') },
    { ...plant, run: hash('e') },
  ];
  const pledges = await Promise.all([
    ...others.map((other) => plantPledge(owner, other)),
    plantPledge(stranger, plant),
  ]);
  assert.equal(new Set([pledge, ...pledges]).size, 5);
  for (const one of [pledge, ...pledges]) assert.match(one, /^[0-9a-f]{64}$/);
});

test('bad work is work on another task, another one in each round; good work is on the task itself', () => {
  const params = game.params.parse({});
  const round = (seed: string): Round => ({ run: hash('a'), number: 0, rounds: 1, seed, draw: null, last: null });
  const taskOf = (accepted: boolean, seed: string) =>
    plantedGame(game, accepted).task(params, round(seed), hash('1'), []) as { n: number };
  const asked = game.task(params, round(hash('2')), hash('1'), []);
  assert.deepEqual(taskOf(true, hash('2')), asked);
  assert.notEqual(taskOf(false, hash('2')).n, asked.n);
  assert.notEqual(taskOf(false, hash('2')).n, taskOf(false, hash('3')).n);
});

test("it is revealed only where all of the owner's checks say what judges should have said", () => {
  const said = (accepted: boolean) => ({ accepted }) as Verdict;
  assert.equal(isFitToReveal(plant, [said(false), said(false)]), true);
  assert.equal(isFitToReveal(plant, [said(false), said(true)]), false);
  assert.equal(isFitToReveal(plant, [said(false), null]), false);
  assert.equal(isFitToReveal({ ...plant, accepted: true }, [said(true)]), true);
});
