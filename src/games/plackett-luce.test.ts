// The update of skills: figures of another implementation, what the formulas say of few players, and what must hold for any game.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { afterGame, ordinal, type Skill, UNKNOWN_SKILL } from './plackett-luce.ts';

const near = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-12 * Math.max(1, Math.abs(b));

test('six players of different skills, two pairs of them tied: the figures of openskill 4.1.1 with beta 7 and tau 0.1', () => {
  const game: [number, number, number, Skill][] = [
    [25, 25 / 3, 3, { mu: 26.087628544607547, sigma: 8.308112677822079 }],
    [31.5, 2.25, -1, { mu: 31.476970650769694, sigma: 2.251529251829541 }],
    [18, 5, 0.5, { mu: 18.228687886455845, sigma: 4.99435165074117 }],
    [40, 1, 3, { mu: 40.00973052176513, sigma: 1.0049786782974524 }],
    [25, 25 / 3, -2.5, { mu: 22.46188032595439, sigma: 8.217198280462192 }],
    [22, 7, 0.5, { mu: 22.32572371203728, sigma: 6.9713086488202896 }],
  ];
  const after = afterGame(game.map(([mu, sigma, result]) => ({ mu, sigma, result })));
  game.forEach(([, , , expected], i) => {
    assert.ok(
      near(after[i].mu, expected.mu) && near(after[i].sigma, expected.sigma),
      `${i}: ${JSON.stringify(after[i])}`,
    );
  });
});

test('a result of 0 is a result like others: what counts is the order', () => {
  const played = (...results: number[]): Skill[] => afterGame(results.map((result) => ({ ...UNKNOWN_SKILL, result })));
  assert.deepEqual(played(0.5, 0, -0.5), played(3, 2, 1));
  assert.equal(ordinal(UNKNOWN_SKILL), 0);
});

test('whoever played alone has proved nothing: its skill has only drifted', () => {
  assert.deepEqual(afterGame([{ mu: 30, sigma: 4, result: 7 }]), [{ mu: 30, sigma: Math.sqrt(16 + 0.1 ** 2) }]);
});

test('any game of equals: better is higher where nobody ties, a tie is a tie, nothing is won that nobody loses', () => {
  const results = fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 2, maxLength: 8 });
  fc.assert(
    fc.property(
      results,
      fc.double({ min: 0, max: 50, noNaN: true }),
      fc.double({ min: 0.5, max: 9, noNaN: true }),
      (list, mu, sigma) => {
        const after = afterGame(list.map((result) => ({ mu, sigma, result })));
        for (const [i, a] of after.entries()) {
          assert.ok(a.sigma > 0 && a.sigma <= Math.sqrt(sigma ** 2 + 0.1 ** 2));
          for (const [k, b] of after.entries()) {
            if (new Set(list).size === list.length && list[i] > list[k]) assert.ok(a.mu > b.mu);
            if (list[i] === list[k]) assert.ok(near(a.mu, b.mu) && near(a.sigma, b.sigma));
          }
        }
        const won = after.reduce((sum, skill) => sum + skill.mu - mu, 0);
        assert.ok(Math.abs(won) < 1e-9, `${won}`);
      },
    ),
  );
});
