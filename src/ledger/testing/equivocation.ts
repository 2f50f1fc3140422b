// Whether two checkpoints convict a log by themselves, for tests that look at such evidence as a stranger would.
import { openCheckpoint } from '../checkpoint.ts';
import { equalHashes } from '../merkle.ts';

/**
 * Whether two checkpoints signed by one log contradict each other directly: same size, different roots. Such a pair convinces anybody
 * who has the log's key. (Checkpoints of different sizes contradict each other when no consistency proof between them exists.)
 * Throws LedgerError when either was not signed by the log.
 */
export function isEquivocation(
  noteA: string,
  noteB: string,
  log: { readonly id: string; readonly origin?: string },
): boolean {
  const [a, b] = [openCheckpoint(noteA, log), openCheckpoint(noteB, log)];
  return a.origin === b.origin && a.size === b.size && !equalHashes(a.root, b.root);
}
