// The work that a worker submitted last, stored beside its state: if the hub says that it was merged, the next round can continue from it.
import { z } from 'zod';
import type { Drawer } from '../games/drawer.ts';
import { utf8 } from '../protocol/hash.ts';
import type { RunView } from '../protocol/messages.ts';
import { count, hash } from '../protocol/schemas.ts';

const KEPT = 'handed-in';
const HandedInSchema = z.object({ round: count, work: hash });
type HandedIn = z.infer<typeof HandedInSchema>;

/** Remembers work for which the hub has given a receipt. */
export const keepHandedIn = (drawer: Drawer, handed: HandedIn): Promise<void> =>
  drawer.put(KEPT, utf8(JSON.stringify(handed)));

/** The blob with this worker's own work in the last merge; null where none of it is there, or the device does not remember it. */
export async function ownMerged(drawer: Drawer, { merged, round }: RunView): Promise<string | null> {
  const bytes = merged ? await drawer.get(KEPT) : null;
  if (!bytes) return null;
  try {
    const handed = HandedInSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
    return handed.round === round - 1 ? handed.work : null;
  } catch {
    return null; // a damaged record counts as forgotten
  }
}
