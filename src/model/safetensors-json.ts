// Finds a key that occurs twice in one object of a JSON text, because JSON.parse silently keeps the last one (RFC 8259, section 4).

/** The first repeated key of any object in a text that JSON.parse has accepted, or null. */
export function duplicateKey(json: string): string | null {
  const open: (Set<string> | null)[] = []; // the keys of each open object; null for an open array
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/gs)) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(null);
    else if (token === '}' || token === ']') open.pop();
    else if (token.endsWith(':')) {
      const key: string = JSON.parse(token.slice(0, -1));
      const keys = open.at(-1);
      if (keys?.has(key)) return key;
      keys?.add(key);
    }
  }
  return null;
}
