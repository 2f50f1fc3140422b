// Events as a table for spreadsheets (RFC 4180).
import { bytesToHex } from '@noble/hashes/utils.js';
import { type Entry, fieldsOf, kindOf, type Names, sentenceOf } from './event-words.ts';

/** A spreadsheet evaluates text that begins like this as a formula, and names come from strangers. */
const FORMULA = /^[=+\-@\t\r]/;

export function eventsAsCsv(entries: readonly Entry[], names: Names): string {
  const rows = entries.map((entry) => {
    const { index, event, bytes } = entry;
    const fields = JSON.stringify(fieldsOf(bytes), (_, value) =>
      value instanceof Uint8Array ? bytesToHex(value) : value,
    );
    return [
      index,
      kindOf(entry),
      event?.body.type ?? '',
      event?.id ?? '',
      event?.author ?? '',
      sentenceOf(entry, names),
      fields,
    ];
  });
  const table = [['event', 'kind', 'type', 'id', 'author', 'sentence', 'fields'], ...rows];
  return table.map((row) => `${row.map(cell).join(',')}\r\n`).join('');
}

function cell(value: string | number): string {
  const text = typeof value === 'string' && FORMULA.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
