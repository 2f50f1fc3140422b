// A validator's ratings of the workers of a run, kept in its drawer: what it measures in a round counts when the round is merged.
import { z } from 'zod';
import type { Device } from '../games/game.ts';
import { standingPermille } from '../games/rated-weight.ts';
import {
  type JudgedWork,
  JudgedWorkSchema,
  type RatingRecord,
  RatingRecordSchema,
  rateRound,
} from '../games/rating.ts';

const KEPT = 'ratings';
/** The open round's measurements and everybody's record: a run knows at most so many peers (core/limits.ts). */
const KeptSchema = z.object({
  round: z.int(),
  judged: z.array(JudgedWorkSchema),
  records: z.array(z.tuple([z.string(), RatingRecordSchema])),
});

export interface Ratings {
  readonly records: ReadonlyMap<string, RatingRecord>;
  /** What a verdict may vouch for of a worker's work, in thousandths. */
  standing(worker: string): number;
  /** Keeps what was measured of a submission of the open round; what an attempt before had measured of the worker is forgotten. */
  measured(round: number, work: JudgedWork): Promise<void>;
  /** Another round is open: what was measured in one that was merged is rated. `handed_in`: whose work was in it, where that is known. */
  opened(round: number, handed_in: ReadonlySet<string> | null): Promise<void>;
}

/** Ratings as a drawer has them; what cannot be read is begun anew. */
export async function openRatings(drawer: Device['drawer']): Promise<Ratings> {
  const kept = await readRatings(drawer);
  let { round } = kept ?? { round: -1 };
  let judged: JudgedWork[] = kept?.judged ?? [];
  let records: ReadonlyMap<string, RatingRecord> = new Map(kept?.records);
  const keep = (): Promise<void> =>
    drawer.put(KEPT, new TextEncoder().encode(JSON.stringify({ round, judged, records: [...records] })));
  const opened: Ratings['opened'] = async (next, handed_in) => {
    if (next === round) return;
    const was_open = round >= 0 && next > round;
    round = next;
    if (was_open) {
      const measured = new Set(judged.map(({ id }) => id));
      const isAbsent = (id: string): boolean => handed_in !== null && !handed_in.has(id) && !measured.has(id);
      const absent = [...records.keys()].filter(isAbsent);
      records = rateRound(records, judged, absent);
    }
    judged = [];
    await keep();
  };
  return {
    get records() {
      return records;
    },
    standing: (worker) => standingPermille(records.get(worker)),
    async measured(now, work) {
      await opened(now, null);
      judged = [...judged.filter(({ id }) => id !== work.id), work];
      await keep();
    },
    opened,
  };
}

/** What a drawer has; null where there is nothing that can be read. */
export async function readRatings(drawer: Device['drawer']): Promise<z.infer<typeof KeptSchema> | null> {
  const bytes = await drawer.get(KEPT);
  try {
    return bytes && KeptSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return null;
  }
}
