// Objects in memory that fail as S3 does: a request is refused, its answer is lost, or it takes effect after the caller has given up.
import type { Random } from '../../protocol/random.ts';
import type { CreateOnlyObjects } from '../object-journal.ts';

export interface ObjectFaults {
  readonly random: Random;
  wait(ms: number): Promise<void>;
  /** How many of a hundred calls fail in some way. */
  readonly percent: number;
  /** The longest time that each way, to the store and back, takes; late calls take at most ten times as long. */
  readonly longest_ms: number;
}

/** The objects. Several handles may share them, each with its own faults. */
export type KeptObjects = Pick<Map<string, Uint8Array>, 'has' | 'get' | 'set'>;

export function memoryObjects(objects: KeptObjects, faults?: ObjectFaults): CreateOnlyObjects {
  const create = (name: string, bytes: Uint8Array): 'created' | 'exists' => {
    if (objects.has(name)) return 'exists';
    objects.set(name, bytes.slice());
    return 'created';
  };
  const get = (name: string): Uint8Array | null => objects.get(name)?.slice() ?? null;
  if (!faults) return { create: async (name, bytes) => create(name, bytes), get: async (name) => get(name) };

  const { random, wait, percent, longest_ms } = faults;
  const fails = (): boolean => random.below(100) < percent;
  const failure = (what: string): Error => new Error(`planted: ${what}`);
  return {
    async create(name, bytes) {
      const sent = bytes.slice();
      await wait(random.below(longest_ms));
      if (fails()) {
        const kind = random.below(3);
        if (kind === 1) create(name, sent);
        if (kind === 2) void wait(random.below(10 * longest_ms)).then(() => create(name, sent));
        throw failure(['refused for a moment', 'the answer is lost', 'it is late'][kind]);
      }
      const answer = create(name, sent);
      await wait(random.below(longest_ms));
      return answer;
    },
    async get(name) {
      await wait(random.below(longest_ms));
      if (fails()) throw failure('no answer');
      return get(name);
    },
  };
}
