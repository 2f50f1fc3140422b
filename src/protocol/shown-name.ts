// Makes a stranger's name safe to show: a log may hold names that no command of ours would give, and a lying hub may show any name.

// biome-ignore lint/suspicious/noControlCharactersInRegex: terminals interpret these characters
const COLOUR_OR_CONTROL = /\x1b\[[0-9;]*m|[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

/** A stranger's name as part of one line; a blank name becomes "?". */
export function nameOf(text: string): string {
  return text.replace(/\s+/g, ' ').replace(COLOUR_OR_CONTROL, '').trim() || '?';
}

/** A list to choose from in one line: things with an id and a stranger's name. */
export function listOf(things: readonly { readonly id: string; readonly name: string }[]): string {
  return things.map(({ id, name }) => `${id.slice(0, 12)} (${nameOf(name)})`).join(', ') || 'none';
}
