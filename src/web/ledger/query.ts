// What the list of events shows, as its address says it: filters, words that are searched for, and where the page of the list begins.
import type { Kind } from './event-words.ts';

/** Kinds that can be chosen, in the order in which they are offered. */
export const KINDS = [
  'run',
  'device',
  'work',
  'verdict',
  'model',
  'shares',
  'clock',
] as const satisfies readonly Kind[];
export type ChosenKind = (typeof KINDS)[number];

/** Longer than any key, hash or name. */
const LONGEST_TEXT = 200;

export interface LedgerQuery {
  /** A key, a hash, or words; empty: everything. */
  readonly text: string;
  /** Empty: everything but the hub's clock. */
  readonly kinds: readonly ChosenKind[];
  /** Where the page of the list is: before an event, from an event on, or null for the newest. */
  readonly at: { readonly before: number } | { readonly from: number } | null;
}

export const EVERYTHING: LedgerQuery = { text: '', kinds: [], at: null };

/** Reads an address's search part. What is no query is left out: addresses are typed by people. */
export function parseQuery(search: string): LedgerQuery {
  const fields = new URLSearchParams(search);
  const named = (fields.get('kind') ?? '').split(',');
  const number = (field: string): number | null => {
    const text = fields.get(field) ?? '';
    return /^\d{1,15}$/.test(text) ? Number(text) : null;
  };
  const [before, from] = [number('before'), number('from')];
  return {
    text: (fields.get('q') ?? '').trim().slice(0, LONGEST_TEXT),
    kinds: KINDS.filter((kind) => named.includes(kind)),
    at: before !== null ? { before } : from !== null ? { from } : null,
  };
}

/** The other way round; empty for everything, newest first. */
export function formatQuery({ text, kinds, at }: LedgerQuery): string {
  const fields = new URLSearchParams();
  if (text !== '') fields.set('q', text);
  if (kinds.length > 0) fields.set('kind', kinds.join(','));
  for (const [name, index] of Object.entries(at ?? {})) fields.set(name, String(index));
  const search = fields.toString().replaceAll('%2C', ',');
  return search === '' ? '' : `?${search}`;
}

/** The event that a text names by its number; null where it is something else to search for. */
export function numberIn(text: string, size: number): number | null {
  const match = /^#?\s*(\d{1,3}(?:,\d{3})+|\d{1,15})$/.exec(text.trim());
  const number = match ? Number(match[1].replaceAll(',', '')) : -1;
  return number >= 0 && number < size ? number : null;
}
