// One round of a game, the same in Node and in a tab: what an honest device hands in, what a judge finds, what is kept and measured.
import type { AnyGame, Device, Judging } from '../../src/games/game.ts';
import { memoryDrawer } from '../../src/games/memory-drawer.ts';
import type { RunProgram } from '../../src/games/programs/program.ts';
import type { Runtime } from '../../src/tensor/runtime.ts';

const JUDGING: Judging = {
  ...{ runtime: 'wasm', repeat_permille: 0, looks: true, place: 0, time_ms: 60_000 },
  earlier: async () => [],
};

/** @returns all of it as JSON */
export async function playRound(game: AnyGame, runtime: Runtime, run: RunProgram): Promise<string> {
  if (!('merge' in game) || !game.first) throw new TypeError('expected a game with a first state');
  const device: Device = {
    ...{ runtime, run, drawer: memoryDrawer(), progress: async () => {} },
    fetchBlob: async () => Promise.reject(new Error('no blobs here')),
  };
  const { data: params } = await game.params.safeParseAsync({});
  const state = await game.first(params);
  const round = { run: 'r', number: 0, rounds: 1, seed: 'a seed', draw: null, last: null };
  const claim = await game.perform(await game.task(params, round, 'p', state), device, new AbortController().signal);
  if (!claim) return 'no work';
  const judged = await game.task(params, { ...round, draw: 'a draw' }, 'p', state);
  const verdict = await game.check(judged, claim, device, JUDGING);
  const next = await game.merge(params, state, [{ work: claim.work, weight: verdict.weight }]);
  const bytes = await game.encodeState(params, next);
  const measured = await game.evaluate(params, next, device);
  return JSON.stringify({ ...claim, work: [...claim.work], verdict, bytes: [...bytes], measured });
}
