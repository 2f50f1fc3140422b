// The other programs of a device's owner come first: what computes here gets the time that they leave.
import { readdirSync } from 'node:fs';
import { constants, setPriority } from 'node:os';

/** On Linux a priority belongs to a thread: those that are there already are lowered one by one, later ones inherit it. */
export function yieldToOthers(): void {
  const { PRIORITY_LOW } = constants.priority;
  try {
    const threads = process.platform === 'linux' ? readdirSync('/proc/self/task').map(Number) : [process.pid];
    for (const thread of threads) setPriority(thread, PRIORITY_LOW);
  } catch {
    // A system that does not allow it, or a thread that has ended: the work goes on as it is.
  }
}
