// Plants a fault and plays histories until one fails: the seed that found it, and what it found.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUGS, type Bug } from './bugs.ts';
import seeds from './fault-seeds.json' with { type: 'json' };
import { importWith } from './plant.ts';
import { PLANTED_FAULTS } from './planted-faults.ts';
import type { PlantedFault } from './planted-rules.ts';

/** The most histories that are played for one fault. A history of the rules alone costs a fifth of a network's history. */
const MOST_SEEDS = { rules: 2000, registry: 60, world: 40, paid: 200, staged: 200, cluster: 200, moves: 200 } as const;

export type AnyFault = PlantedFault | Bug;
export const ALL_FAULTS: readonly AnyFault[] = [...PLANTED_FAULTS, ...BUGS];

/** The seed that last found a fault of that name. It is only tried first, because other rules draw other histories. */
const KNOWN_SEEDS: Readonly<Record<string, number | undefined>> = seeds;
export const knownSeed = ({ name }: AnyFault): number | null => KNOWN_SEEDS[name] ?? null;

/** Writes which seed has found which fault, for later calls. */
export function recordSeeds(found: ReadonlyMap<string, number>): void {
  const byName = Object.fromEntries([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(join(import.meta.dirname, 'fault-seeds.json'), `${JSON.stringify(byName, null, 2)}\n`);
}

const isSource = (fault: AnyFault): fault is PlantedFault => 'file' in fault;

export interface Found {
  /** The seed that found it; null: none did. */
  readonly seeds: number | null;
  readonly violation: string | null;
}

/**
 * Plays seeds from 1 until one finds the fault.
 * @param hinted begins with the seed that is known to find it
 * @returns null if no history can find it and only a unit test must
 */
export async function findFault(fault: AnyFault, hinted = false): Promise<Found | null> {
  const by = isSource(fault) ? fault.by : 'world';
  if (by === null) return null;
  const play = await historyWith(fault, by);
  const from1 = Array.from({ length: MOST_SEEDS[by] }, (_, i) => i + 1);
  for (const seed of hinted ? [knownSeed(fault) ?? [], ...from1].flat() : from1) {
    const violation = await play(seed);
    if (violation) return { seeds: seed, violation };
  }
  return { seeds: null, violation: null };
}

type Play = (seed: number) => Promise<string | null>;

async function historyWith(fault: AnyFault, by: keyof typeof MOST_SEEDS): Promise<Play> {
  if (isSource(fault) && by === 'paid') {
    const { playPaid } = await importWith<typeof import('./paid-answers.ts')>(fault, 'simulation/paid-answers.ts');
    return playPaid;
  }
  if (isSource(fault) && by === 'staged') {
    const { playStagedSeed } = await importWith<typeof import('./staged-history.ts')>(
      fault,
      'simulation/staged-history.ts',
    );
    return playStagedSeed;
  }
  if (isSource(fault) && by === 'cluster') {
    const { playClusterSeed } = await importWith<typeof import('./cluster/command.ts')>(
      fault,
      'simulation/cluster/command.ts',
    );
    return playClusterSeed;
  }
  if (isSource(fault) && by === 'registry') {
    const { playRegistry } = await importWith<typeof import('./drawn-history.ts')>(
      fault,
      'simulation/drawn-history.ts',
    );
    return playRegistry;
  }
  if (isSource(fault) && by === 'moves') {
    const { playMovingSeed } = await importWith<typeof import('./moving/play-moves.ts')>(
      fault,
      'simulation/moving/play-moves.ts',
    );
    return playMovingSeed;
  }
  if (isSource(fault) && by === 'rules') {
    const { playDrawn } = await importWith<typeof import('./drawn-history.ts')>(fault, 'simulation/drawn-history.ts');
    return playDrawn;
  }
  const { play } = isSource(fault)
    ? await importWith<typeof import('./shrink.ts')>(fault, 'simulation/shrink.ts')
    : await import('./shrink.ts');
  const { planOf } = await import('./plan.ts');
  return async (seed) => (await play(planOf(seed), isSource(fault) ? null : fault)).violation;
}
