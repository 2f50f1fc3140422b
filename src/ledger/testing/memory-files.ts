// Public files in memory that fail as S3 and a full disk do: a call is refused, its answer is lost, or it takes effect after the caller has given up.
import { LedgerError } from '../errors.ts';
import { equalHashes } from '../merkle.ts';
import { fileDiffers, type PublicFiles } from '../public-files.ts';
import type { ObjectFaults } from './memory-objects.ts';

/** @param files what everybody sees. Several handles may share them, each with its own faults. */
export function memoryFiles(files: Map<string, Uint8Array>, faults?: ObjectFaults): PublicFiles {
  const create = (name: string, bytes: Uint8Array): void => {
    const there = files.get(name);
    if (there && !equalHashes(there, bytes)) throw fileDiffers(name, bytes, there);
    if (!there) files.set(name, bytes);
  };
  const replace = (name: string, bytes: Uint8Array): void => void files.set(name, bytes);
  const get = (name: string): Uint8Array | null => files.get(name)?.slice() ?? null;
  if (!faults) {
    return {
      create: async (name, bytes) => create(name, bytes.slice()),
      replace: async (name, bytes) => replace(name, bytes.slice()),
      get: async (name) => get(name),
      remove: async (name) => void files.delete(name),
    };
  }

  const { random, wait, percent, longest_ms } = faults;
  const fails = (): boolean => random.below(100) < percent;
  const write = async (step: () => void): Promise<void> => {
    await wait(random.below(longest_ms));
    if (fails()) {
      const kind = random.below(3);
      if (kind === 1) step();
      if (kind === 2) void wait(random.below(10 * longest_ms)).then(step, () => {});
      throw new LedgerError('write-failed', `planted: ${['refused', 'the answer is lost', 'it is late'][kind]}`);
    }
    step();
    await wait(random.below(longest_ms));
  };
  return {
    create: (name, bytes) => write(create.bind(null, name, bytes.slice())),
    replace: (name, bytes) => write(replace.bind(null, name, bytes.slice())),
    remove: (name) => write(() => void files.delete(name)),
    async get(name) {
      await wait(random.below(longest_ms));
      if (fails()) throw new LedgerError('read-failed', 'planted: no answer');
      return get(name);
    },
  };
}
