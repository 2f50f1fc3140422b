// A setting as people write it: JSON, a word, or hours with ";" between them.

/** The value that a text means; "default" is none. What it may be is checked where settings are read. */
export function valueIn(name: string, text: string): unknown {
  if (text === 'default') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    const listed = ['hours', 'quiet_hours'].includes(name);
    return listed ? text.split(';').map((line) => line.trim()) : text;
  }
}
