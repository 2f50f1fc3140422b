// `npm run simulate -- --moves`: histories of runs that move between the logs of several hubs.
import { playMoves } from './play-moves.ts';

export interface MovesOptions {
  readonly seeds: number;
  readonly from: number;
  readonly seed?: number;
  readonly json?: boolean | string;
}

/** Prints what came of it. @returns whether everything held */
export async function simulateMoves(options: MovesOptions): Promise<boolean> {
  const first = options.seed ?? options.from;
  const seeds = options.seed === undefined ? options.seeds : 1;
  const sum = { rounds: 0, moves: 0, arrivals: 0, tries: 0 };
  const before = process.cpuUsage();
  let failed = 0;
  for (let seed = first; seed < first + seeds; seed++) {
    const { violation, tries, ...outcome } = await playMoves(seed);
    sum.rounds += outcome.rounds;
    sum.moves += outcome.moves;
    sum.arrivals += outcome.arrivals;
    for (const count of tries.values()) sum.tries += count;
    if (violation === null) continue;
    failed++;
    console.log(options.json ? JSON.stringify({ failed_seed: seed, violation }) : `seed ${seed} fails: ${violation}`);
  }
  const { user, system } = process.cpuUsage(before);
  const cpu_seconds = (user + system) / 1e6;
  if (options.json) console.log(JSON.stringify({ seeds, first, ...sum, violations: failed, cpu_seconds }));
  else {
    const { rounds, moves, arrivals, tries } = sum;
    const lived = `${moves} times a run left a log and ${arrivals} times it came to one, ${rounds} rounds, ${tries} tries to cheat`;
    console.log(
      `${seeds} seeds of runs that move from ${first}: ${failed} failed; ${lived}, ${cpu_seconds.toFixed(0)} s of CPU`,
    );
  }
  return failed === 0;
}
