// Commit and reveal: a judge's committed verdicts that are not revealed yet, on its disk, because a verdict that cannot be revealed after a
// restart earns nothing. They are called sealed, as in the log's events.
import { z } from 'zod';
import { type VerdictGiven, VerdictGivenSchema } from '../core/events/verdict-given.ts';
import type { Drawer } from '../games/drawer.ts';
import { utf8 } from '../protocol/hash.ts';

const KeptSchema = z.array(VerdictGivenSchema).max(100_000);

export interface SealedVerdicts {
  get(submission: string): Promise<VerdictGiven | undefined>;
  /** Resolves when it is on disk. */
  put(verdict: VerdictGiven): Promise<void>;
  /** Forgets those of all other submissions. */
  keepOnly(submissions: ReadonlySet<string>): Promise<void>;
}

/** The content of a drawer under a name. If it cannot be read, that is reported, and the work is judged again. */
export function openSealedVerdicts(drawer: Drawer, name: string, onUnreadable: () => void): SealedVerdicts {
  let kept: Promise<Map<string, VerdictGiven>> | null = null;
  const load = async (): Promise<Map<string, VerdictGiven>> => {
    const bytes = await drawer.get(name);
    let list: VerdictGiven[] = [];
    try {
      list = bytes ? KeptSchema.parse(JSON.parse(new TextDecoder().decode(bytes))) : [];
    } catch {
      onUnreadable();
    }
    return new Map(list.map((verdict) => [verdict.submission, verdict]));
  };
  const loaded = (): Promise<Map<string, VerdictGiven>> => {
    kept ??= load();
    return kept;
  };
  const write = (verdicts: Map<string, VerdictGiven>): Promise<void> =>
    drawer.put(name, utf8(JSON.stringify([...verdicts.values()])));
  return {
    get: async (submission) => (await loaded()).get(submission),
    async put(verdict) {
      const verdicts = await loaded();
      verdicts.set(verdict.submission, verdict);
      await write(verdicts);
    },
    async keepOnly(submissions) {
      const verdicts = await loaded();
      const old = [...verdicts.keys()].filter((id) => !submissions.has(id));
      if (old.length === 0) return;
      for (const id of old) verdicts.delete(id);
      await write(verdicts);
    },
  };
}
