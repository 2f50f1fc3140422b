// `potluck play` as a function: both ends, in real threads: a game with a hole, one that loops, one that is none.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { loadGameFile } from '../games/game-file.ts';
import { adversaryNamed } from './adversaries/registry.ts';
import { type PlayProgress, playGame } from './play.ts';

const EXAMPLE = join(import.meta.dirname, '..', '..', 'examples', 'exploitable-game.ts');
let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'potluck-play-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

const play = (
  game: string,
  names: readonly string[],
  call_ms = 30_000,
  onProgress?: (progress: PlayProgress) => void,
) =>
  playGame({
    onProgress,
    ...{ game, adversaries: names.map(adversaryNamed), settings: null, rounds: 2, seed: 'test', call_ms },
    crowd: { workers: 3, validators: 3, share: 0.33 },
  });
const written = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const changed = (game: string, name: string, change: string): string =>
  written(
    name,
    `import { game as sound } from '${pathToFileURL(game)}';\nexport const game = { ...sound, ${change} };\n`,
  );

describe('play', () => {
  test('finds no hole in the example whose work are programs, which its judges run', async () => {
    const programs = join(import.meta.dirname, '..', '..', 'examples', 'short-program.ts');
    const { exploits, reports } = await play(programs, ['copier', 'boast', 'lazy']);
    assert.deepEqual(exploits, []);
    assert.ok(reports.find(({ adversary }) => adversary === 'copier')!.fates['not-close'] > 0);
  });

  test('names the hole of the example: it believes what workers say', async () => {
    const told: PlayProgress[] = [];
    const { exploits } = await play(EXAMPLE, ['boast', 'contrarian'], 30_000, (progress) => told.push(progress));
    assert.deepEqual(
      told.map(({ tried, all }) => `${tried} of ${all}`),
      ['0 of 2', '1 of 2', '2 of 2'],
    );
    assert.ok(told[0].time_left_ms > 0);
    assert.equal(told[2].time_left_ms, 0);
    assert.deepEqual(
      exploits.map(({ adversary }) => adversary),
      ['boast'],
    );
    assert.ok(exploits[0].gain > 100, exploits[0].verdict);
    assert.match(exploits[0].verdict, /EXPLOIT: boast \(worker\) earns \d+ times as much per cost as honesty/);
  });

  test('ends a loop that never gives way, and says where it was', async () => {
    const path = changed(EXAMPLE, 'loop.ts', 'async perform() { for (;;); }');
    await assert.rejects(() => play(path, [], 1000), { code: 'game-late', message: /perform \(honest worker 1\)/ });
  });

  test('calls a check that a liar can hang an exploit', async () => {
    const hang = 'async check(task, claim) { if (claim.amount > 500) for (;;); return sound.check(task, claim); }';
    const { exploits } = await play(changed(EXAMPLE, 'hang.ts', hang), ['boast'], 4000);
    assert.match(exploits[0].verdict, /boast stops the run: game-late/);
  });

  test('says in whose hands a game breaks, and where', async () => {
    const path = changed(EXAMPLE, 'throws-in-check.ts', "async check() { throw 'boom'; }");
    const message = /^exploitable\.check: boom \(honest validator \d, round 0\)$/;
    await assert.rejects(() => play(path, []), { code: 'game-threw', message });
  });

  test('tells what a liar brings about in the hands of an honest judge', async () => {
    const throws =
      "async check(task, claim) { if (claim.amount > 500) throw 'a liar'; return sound.check(task, claim); }";
    const { reports } = await play(changed(EXAMPLE, 'throws-at-liars.ts', throws), ['boast']);
    assert.match(
      reports[0].verdict,
      /^boast \(worker\) earns 0\.00 of .*; honest validator \d: exploitable\.check: a liar$/,
    );
  });

  test('does not go on with a game in which honest work earns nothing', async () => {
    const path = changed(EXAMPLE, 'mean.ts', 'async perform() { return null; }');
    await assert.rejects(() => play(path, []), { code: 'no-honest-pay', message: /it handed nothing in/ });
  });
});

test('a file that is no game says what it lacks', async () => {
  const named = (path: string) => assert.rejects(() => loadGameFile(path), { code: 'bad-game-file' });
  await named(join(folder, 'missing.ts'));
  await named(written('empty.ts', 'export {};\n'));
  await named(written('syntax.ts', 'export const game = {;\n'));
  await named(changed(EXAMPLE, 'methods.ts', 'merge: 3'));
  await named(changed(EXAMPLE, 'name.ts', "name: '../pretrain'"));
  await named(written('throws.ts', "throw new Error('at once');\n"));
});
