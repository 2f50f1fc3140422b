// How a stranger's name is shown: a log may hold names that no command of ours would give, and lying hubs may show any.

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones that a terminal obeys
const COLOUR_OR_CONTROL = /\x1b\[[0-9;]*m|[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

/** A stranger's name as part of one line: a blank one is "?". */
export function nameOf(text: string): string {
  return text.replace(/\s+/g, ' ').replace(COLOUR_OR_CONTROL, '').trim() || '?';
}

/** Things with an id and a stranger's name, to choose from, as part of one line. */
export function listOf(things: readonly { readonly id: string; readonly name: string }[]): string {
  return things.map(({ id, name }) => `${id.slice(0, 12)} (${nameOf(name)})`).join(', ') || 'none';
}
