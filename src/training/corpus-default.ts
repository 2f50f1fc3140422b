// The default text, which every device that can run Potluck has: the documentation that npm installs with it, or that the package contains.
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import { DataError } from './corpus-errors.ts';

/** READMEs, changelogs and guides. Translations (README.ja.md) are left out: a small model would have to learn eight languages at once. */
const DOCUMENT = /\.md$/i;
const TRANSLATION = /\.[a-z]{2}(-[A-Za-z]{2})?\.md$/;
/** Type declarations contain reference manuals in their comments; @types/node contains that of Node itself. */
const DECLARATIONS = /\.d\.[cm]?ts$/;
const DOC_COMMENT = /\/\*\*([\s\S]*?)\*\//g;
/** Shorter comments are mostly tags and single words. */
const SHORTEST_COMMENT = 200;

/** Where a package keeps the texts of the checkout that it was packed from, as gzipped JSON. */
export const PACKED = 'default-corpus.json.gz';

/** The nearest node_modules that holds our dependencies. */
function nodeModules(): string {
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules');
    if (existsSync(join(candidate, 'onnxruntime-node', 'package.json'))) return candidate;
  }
  throw new DataError(
    'missing-file',
    'no node_modules with the dependencies found: run npm ci, or name a file or folder',
  );
}

/** Files below a folder in the order of their names; links are not followed. */
async function* filesBelow(folder: string): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  if (entries.some(({ name }) => name === 'package.json') && (await isPlatformPackage(folder))) return;
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !entry.name.startsWith('.')) yield* filesBelow(path);
    else if (entry.isFile()) yield path;
  }
}

/** Whether npm installs a package on some systems only. Without such packages the corpus depends on the lock file alone. */
async function isPlatformPackage(folder: string): Promise<boolean> {
  try {
    const { os, cpu } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    return os !== undefined || cpu !== undefined;
  } catch {
    return false; // some packages contain damaged package.json files on purpose, for their tests
  }
}

/** A doc comment's text without its frame of asterisks. */
const unframed = (comment: string) => comment.replace(/^[ \t]*\*? ?/gm, '').trim();

/**
 * The default corpus: about two megabytes of English documentation with code, one document a file.
 * It is the same for the same lock file on every system; identical texts occur once. Throws DataError `missing-file` without node_modules.
 */
export async function* defaultCorpus(): AsyncGenerator<string> {
  const seen = new Set<string>();
  const isNew = (text: string): boolean => {
    const hash = sha256Hex(utf8(text));
    if (seen.has(hash)) return false;
    seen.add(hash);
    return true;
  };
  const packed = join(import.meta.dirname, PACKED);
  if (existsSync(packed)) {
    yield* z.array(z.string()).parse(JSON.parse(gunzipSync(await readFile(packed)).toString()));
    return;
  }
  const root = nodeModules();
  for await (const path of filesBelow(root)) {
    let text = '';
    if (DOCUMENT.test(path) && !TRANSLATION.test(path)) {
      text = (await readFile(path, 'utf8')).replaceAll('\r\n', '\n').trim();
    } else if (DECLARATIONS.test(path) && path.startsWith(join(root, '@types'))) {
      const comments = [...(await readFile(path, 'utf8')).matchAll(DOC_COMMENT)].map(([, comment]) =>
        unframed(comment),
      );
      text = comments.filter((comment) => comment.length >= SHORTEST_COMMENT && isNew(comment)).join('\n\n');
    }
    if (text !== '' && isNew(text)) yield text;
  }
}
