// A number of an event with its unit, which is the suffix of its field's name: deadline_ms, size_bytes, loss_micro.
import { formatBytes, formatDuration, formatWhole } from '../shell/format.ts';

/** A smaller number of milliseconds is a duration, a larger one a moment since 1970 (the limit is 9 September 2001). */
const FIRST_MOMENT_MS = 1e12;

/** The number for people, and the event's own number where that differs. */
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
