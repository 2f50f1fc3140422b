// What this tab was doing when its page was left without a stop: it resumes by itself after a reload, and offers to after a longer absence.
import { z } from 'zod';
import { isStopping } from '../tab/state.ts';
import { atWork, begin, isOver } from './at-work.ts';

const AgreedSchema = z.object({
  run: z.string(),
  name: z.string(),
  although: z.array(z.enum(['battery-low', 'metered', 'hours', 'not-charging'])),
  /** The game's file that may run here; another file of the same run may not. */
  game_file: z.string().optional(),
  left_ms: z.number(),
});
/** What its owner has agreed to. */
export type Agreed = z.infer<typeof AgreedSchema>;

const KEY = 'potluck-at-work';
/** How often a working tab records that it works. */
const NOTE_MS = 10_000;

/** The record of this tab, which survives a reload; and that of this browser, for another day. */
const stores = (): Storage[] => {
  try {
    return [sessionStorage, localStorage];
  } catch {
    return []; // a browser that stores nothing for this page
  }
};

function read(store: Storage | undefined): Agreed | null {
  try {
    return AgreedSchema.safeParse(JSON.parse(store?.getItem(KEY) ?? '')).data ?? null;
  } catch {
    return null;
  }
}

/** What this browser was doing when it was last seen; null after a stop. */
export const lastAtWork = (): Agreed | null => read(stores()[1]);

let noted_ms = 0;

/** Records work until it is over or its owner has stopped it: a reload while the last work is sent resumes nothing. */
export function noteWork(agreed: Omit<Agreed, 'left_ms'>): void {
  noted_ms = 0;
  const end = atWork.subscribe(() => {
    const work = atWork.get();
    if (!work || work.run !== agreed.run) return;
    if (isOver(work.state) || isStopping(work.state.phase)) {
      end();
      for (const store of stores()) store.removeItem(KEY);
    } else if (Date.now() - noted_ms > NOTE_MS) {
      noted_ms = Date.now();
      try {
        for (const store of stores())
          store.setItem(KEY, JSON.stringify({ ...agreed, left_ms: noted_ms } satisfies Agreed));
      } catch {
        // The storage is full: the owner will be asked again.
      }
    }
  });
}

/** After a reload of the same tab: resumes, because its owner has agreed and has not stopped it. */
export async function goOn(): Promise<void> {
  const agreed = read(stores()[0]);
  if (!agreed) return;
  try {
    const { run, name, although, game_file } = agreed;
    await begin(run, { name, although, game_file });
    noteWork(agreed);
  } catch {
    // The code cannot be downloaded now; the button to start is there.
  }
}
