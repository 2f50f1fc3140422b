// The query of the list of events, as in its address: filters, search words, and where the page of the list begins.
import type { Kind } from './event-words.ts';

/** Event types that can be chosen, in the order of the list. */
export const KINDS = [
  'run',
  'device',
  'work',
  'verdict',
  'model',
  'shares',
  'money',
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
  /** The position of the page of the list: before an event, from an event on, or null for the newest. */
  readonly at: { readonly before: number } | { readonly from: number } | null;
}

export const EVERYTHING: LedgerQuery = { text: '', kinds: [], at: null };

/** Parses the search part of an address. Invalid parts are ignored, because people type addresses. */
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

/** The search part for a query; empty for everything, newest first. */
export function formatQuery({ text, kinds, at }: LedgerQuery): string {
  const fields = new URLSearchParams();
  if (text !== '') fields.set('q', text);
  if (kinds.length > 0) fields.set('kind', kinds.join(','));
  for (const [name, index] of Object.entries(at ?? {})) fields.set(name, String(index));
  const search = fields.toString().replaceAll('%2C', ',');
  return search === '' ? '' : `?${search}`;
}

/** The event whose number a text is; null where the text is something else to search for. */
export function numberIn(text: string, size: number): number | null {
  const match = /^#?\s*(\d{1,3}(?:,\d{3})+|\d{1,15})$/.exec(text.trim());
  const number = match ? Number(match[1].replaceAll(',', '')) : -1;
  return number >= 0 && number < size ? number : null;
}
