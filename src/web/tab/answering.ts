// Whether this tab may answer callers of the hub's pool: its owner's consent, kept until the tab is closed, through reloads.
import { z } from 'zod';

/** More answers at once would each come slower than people read. */
export const MOST_PLACES = 2;

const AnsweringSchema = z.object({
  /** Answers at the same time; 0: none. */
  places: z.int().min(0).max(MOST_PLACES),
  /** Where its owner says that it is; null: not said. */
  region: z.string().max(40).nullable(),
});
export type Answering = z.infer<typeof AnsweringSchema>;

const KEY = 'potluck-answering';

/** What was agreed to in this tab; nothing where that is missing or strange. */
export function readAnswering(): Answering {
  try {
    return AnsweringSchema.parse(JSON.parse(sessionStorage.getItem(KEY) ?? ''));
  } catch {
    return { places: 0, region: null };
  }
}

export function keepAnswering(answering: Answering): void {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(answering));
  } catch {
    // it holds until a reload
  }
}
