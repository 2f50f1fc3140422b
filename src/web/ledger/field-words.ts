// A number of an event with its unit, which is the end of its field's name: deadline_ms, size_bytes, loss_micro.
import { formatBytes, formatDuration, formatWhole } from '../shell/format.ts';

/** Below this a number of milliseconds is a length of time, from here on a moment since 1970: the 9th of September 2001. */
const FIRST_MOMENT_MS = 1e12;

/** The number as people read it, and as the event has it where that is something else. */
export function wordsOf(field: string, value: number): string {
  const words = inUnits(field, value);
  return words === null ? formatWhole(value) : `${words} (${value})`;
}

function inUnits(field: string, value: number): string | null {
  if (field.endsWith('_ms')) {
    if (value < FIRST_MOMENT_MS) return value < 1000 ? null : formatDuration(value);
    return new Date(value).toLocaleString('en-GB', { dateStyle: 'long', timeStyle: 'medium' });
  }
  if (field.endsWith('_bytes')) return value < 1000 ? null : formatBytes(value);
  if (field.endsWith('_micro')) return (value / 1e6).toFixed(6);
  if (field.endsWith('_permille')) return `${value / 10} %`;
  return null;
}
