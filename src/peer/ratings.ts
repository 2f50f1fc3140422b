// A validator's ratings of a run's workers, stored in its drawer: the measurements of a round count once the round is merged.
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
import { utf8 } from '../protocol/hash.ts';

const KEPT = 'ratings';
/** The open round's measurements and every worker's record: a run has a limited number of peers (core/limits.ts). */
const KeptSchema = z.object({
  round: z.int(),
  judged: z.array(JudgedWorkSchema),
  records: z.array(z.tuple([z.string(), RatingRecordSchema])),
});

export interface Ratings {
  readonly records: ReadonlyMap<string, RatingRecord>;
  /** How much of a worker's work a verdict may vouch for, in thousandths. */
  standing(worker: string): number;
  /** Stores the measurement of a submission of the open round, replacing that of an earlier attempt of the worker. */
  measured(round: number, work: JudgedWork): Promise<void>;
  /** Another round is open: the measurements of a merged round become ratings. `handed_in`: whose work was in it, where that is known. */
  opened(round: number, handed_in: ReadonlySet<string> | null): Promise<void>;
}

/** Ratings as stored in a drawer; unreadable ones are started over. */
export async function openRatings(drawer: Device['drawer']): Promise<Ratings> {
  const kept = await readRatings(drawer);
  let { round } = kept ?? { round: -1 };
  let judged: JudgedWork[] = kept?.judged ?? [];
  let records: ReadonlyMap<string, RatingRecord> = new Map(kept?.records);
  const keep = (): Promise<void> => drawer.put(KEPT, utf8(JSON.stringify({ round, judged, records: [...records] })));
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

/** The content of a drawer; null where there is nothing readable. */
export async function readRatings(drawer: Device['drawer']): Promise<z.infer<typeof KeptSchema> | null> {
  const bytes = await drawer.get(KEPT);
  try {
    return bytes && KeptSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return null;
  }
}
