// A model's tokens as a tree of their bytes, so that one walk finds all tokens that a form allows.
import type { TokenTable } from '../engine.ts';
import { ServingError } from '../errors.ts';

/** Nodes in the order of a walk: behind each its subtree, up to `ends`. Node 0 is the root. */
export interface TokenTree {
  readonly bytes: Uint8Array;
  readonly depths: Uint16Array;
  readonly ends: Uint32Array;
  /** The tokens that end in node n: ids[starts[n]] up to ids[starts[n + 1]]. */
  readonly starts: Uint32Array;
  readonly ids: Uint32Array;
}

export interface Vocabulary {
  readonly vocab_size: number;
  /** 32-bit words of a mask. */
  readonly words: number;
  readonly end_ids: readonly number[];
  readonly all: TokenTree;
  /** The tokens that are not among `plain`. */
  readonly other: TokenTree;
  /** plain[k]: the tokens of at most k characters which stand for themselves within a JSON string. */
  readonly plain: readonly Uint32Array[];
  /** The most brackets that one token opens. */
  readonly brackets: number;
  bytesOf(id: number): Uint8Array;
}

/** Tokens of more characters than this (runs of spaces, mostly) are walked: each length has a mask of its own. */
const LIMIT_PLAIN_CHARACTERS = 48;
/** Tokens longer than this are never written under a form. The longest in wide use have 128 characters. */
const LIMIT_TOKEN_BYTES = 512;

const opened = new WeakMap<TokenTable, Vocabulary>();

/** The tree of a model's tokens; made once for a table. Throws ServingError `unsupported` for a vocabulary that cannot write JSON. */
export function vocabularyOf(tokens: TokenTable): Vocabulary {
  const known = opened.get(tokens);
  if (known) return known;
  const made = openVocabulary(tokens);
  opened.set(tokens, made);
  return made;
}

function openVocabulary(tokens: TokenTable): Vocabulary {
  const unused = new Set([...tokens.unused_ids, ...tokens.end_ids]);
  const singles = new Set<number>();
  const spelled: { id: number; bytes: Uint8Array }[] = [];
  for (let id = 0; id < tokens.vocab_size; id++) {
    if (unused.has(id)) continue;
    const bytes = tokens.bytesOf(id);
    if (bytes.length === 0 || bytes.length > LIMIT_TOKEN_BYTES) continue;
    if (bytes.length === 1) singles.add(bytes[0]);
    spelled.push({ id, bytes });
  }
  const missing = Array.from({ length: 95 }, (_, i) => 32 + i).filter((byte) => !singles.has(byte));
  if (missing.length > 0) {
    const list = missing.slice(0, 8).map((byte) => JSON.stringify(String.fromCharCode(byte)));
    const message = `grammar: this model's vocabulary has no tokens of their own for ${list.join(' ')}: it cannot be held to a form`;
    throw new ServingError('unsupported', message);
  }
  // Without a token for each byte, part of a character might never be ended.
  const every = singles.size === 256;
  const usable = every ? spelled : spelled.filter(({ bytes }) => charactersOf(bytes) !== null);
  const words = Math.ceil(tokens.vocab_size / 32);
  const plain = Array.from({ length: LIMIT_PLAIN_CHARACTERS + 1 }, () => new Uint32Array(words));
  const other: { id: number; bytes: Uint8Array }[] = [];
  for (const token of usable) {
    const characters = plainCharacters(token.bytes);
    if (characters === null || characters > LIMIT_PLAIN_CHARACTERS) other.push(token);
    else plain[characters][token.id >>> 5] |= 1 << (token.id & 31);
  }
  for (let k = 1; k < plain.length; k++) for (let w = 0; w < words; w++) plain[k][w] |= plain[k - 1][w];
  return {
    vocab_size: tokens.vocab_size,
    words,
    end_ids: tokens.end_ids,
    all: treeOf(usable),
    other: treeOf(other),
    plain,
    brackets: usable.reduce((most, { bytes }) => Math.max(most, bracketsOf(bytes)), 0),
    bytesOf: (id) => tokens.bytesOf(id),
  };
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** How many characters the bytes are; null where they are not whole characters. */
function charactersOf(bytes: Uint8Array): number | null {
  try {
    let characters = 0;
    for (const _ of strict.decode(bytes)) characters++;
    return characters;
  } catch {
    return null;
  }
}

function plainCharacters(bytes: Uint8Array): number | null {
  return bytes.every((byte) => byte >= 0x20 && byte !== 0x22 && byte !== 0x5c) ? charactersOf(bytes) : null;
}

function bracketsOf(bytes: Uint8Array): number {
  return bytes.reduce((count, byte) => count + (byte === 0x5b || byte === 0x7b ? 1 : 0), 0);
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

/** In the order of their bytes, each token adds the nodes that it does not share with the one before. */
function treeOf(tokens: readonly { readonly id: number; readonly bytes: Uint8Array }[]): TokenTree {
  const sorted = [...tokens].sort((a, b) => compareBytes(a.bytes, b.bytes));
  const most = 2 + sorted.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const bytes = new Uint8Array(most);
  const depths = new Uint16Array(most);
  const ends = new Uint32Array(most);
  const starts = new Uint32Array(most + 1);
  const ids: number[] = [];
  let nodes = 1;
  let path: number[] = [0];
  let before: Uint8Array = new Uint8Array(0);
  const close = (depth: number): void => {
    for (const node of path.splice(depth + 1)) ends[node] = nodes;
  };
  for (const token of sorted) {
    let shared = 0;
    while (shared < before.length && before[shared] === token.bytes[shared]) shared++;
    close(shared);
    for (let at = shared; at < token.bytes.length; at++) {
      bytes[nodes] = token.bytes[at];
      depths[nodes] = at + 1;
      starts[nodes] = ids.length;
      path.push(nodes++);
    }
    ids.push(token.id);
    before = token.bytes;
  }
  close(-1);
  path = [];
  starts[nodes] = ids.length;
  return {
    bytes: bytes.slice(0, nodes),
    depths: depths.slice(0, nodes),
    ends: ends.slice(0, nodes),
    starts: starts.slice(0, nodes + 1),
    ids: Uint32Array.from(ids),
  };
}
