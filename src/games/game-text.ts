// A game's file as it travels: JavaScript that imports `potluck/game` alone, so that its hash is all of it.
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { extname } from 'node:path';
import { utf8 } from '../protocol/hash.ts';
import { GAME_FILE_BYTES } from './game-form.ts';

/** What a file imports, also by `import()` and `export … from`. What it does not find is not found by who runs the file, either. */
const IMPORTED = /(?:\bfrom\s*|\bimport\s*\(?\s*)(['"])([^'"\n]+)\1/g;

/** The text of a game's file for others, or why it cannot travel. */
export function gameText(path: string): { readonly text: Uint8Array } | { readonly why: string } {
  const source = readFileSync(path, 'utf8');
  const isTyped = /^\.[cm]?ts$/.test(extname(path));
  const text = isTyped ? stripTypeScriptTypes(source) : source;
  const other = [...text.matchAll(IMPORTED)].map(([, , name]) => name).find((name) => name !== 'potluck/game');
  if (other) return { why: `it imports ${other}, and only a file that imports nothing but potluck/game can be sent` };
  const bytes = utf8(text);
  if (bytes.length <= GAME_FILE_BYTES) return { text: bytes };
  return { why: `it has ${bytes.length} bytes, and at most ${GAME_FILE_BYTES} are sent` };
}
