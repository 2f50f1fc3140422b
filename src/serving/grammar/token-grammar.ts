// A grammar over a vocabulary's tokens: walks the tree of tokens and the automaton together, and remembers what it found.
import { ServingError } from '../errors.ts';
import { SERVING_LIMITS } from '../limits.ts';
import { allows, type Grammar } from './grammar.ts';
import { DONE, type Machine } from './machine.ts';
import { type Position, Positions } from './positions.ts';
import type { TokenTree, Vocabulary } from './vocabulary.ts';

/** Positions kept before the memory is thrown away and begun anew: some 20 MB. */
const LIMIT_POSITIONS = 40_000;
/** Bytes of remembered masks, of each of the two kinds. */
const LIMIT_MASK_BYTES = 16 * 2 ** 20;

/** What a state of a rule allows whatever lies under the rule, and the nodes of the tree where the rule ends. */
interface Inside {
  readonly mask: Uint32Array;
  readonly tree: TokenTree;
  readonly exits: Uint32Array;
}

/** A form and a vocabulary: shared by all answers that are held to this form. */
export class TokenGrammar {
  readonly #machine: Machine;
  readonly #vocabulary: Vocabulary;
  readonly #deepest: number;
  #positions: Positions;
  readonly #inside = new Map<number, Inside>();
  #masks = new Map<Position, Uint32Array>();
  readonly #kept: number;

  constructor(machine: Machine, vocabulary: Vocabulary) {
    this.#machine = machine;
    this.#vocabulary = vocabulary;
    this.#positions = new Positions(machine);
    this.#kept = Math.max(16, Math.floor(LIMIT_MASK_BYTES / (4 * vocabulary.words)));
    const finite = machine.needed.filter(Number.isFinite);
    // Where fewer levels than this are left, nesting may be refused within a token: what a rule allows is then asked in its place.
    this.#deepest = SERVING_LIMITS.grammar_nesting - vocabulary.brackets - finite.reduce((a, b) => Math.max(a, b), 0);
  }

  /** An answer that has not begun; `check` looks at it when it is whole. */
  open(check?: (text: string) => void): Grammar {
    return new Answer(this, this.#positions.start(), check);
  }

  /** The position of an answer, in this object's present memory. */
  present(position: Position, from: Positions): Position {
    return from === this.#positions ? position : this.#positions.adopt(position);
  }

  get positions(): Positions {
    return this.#positions;
  }

  ends(id: number): boolean {
    return this.#vocabulary.end_ids.includes(id);
  }

  /** Behind a token of the mask. */
  after(position: Position, id: number): Position {
    if (this.#positions.size > LIMIT_POSITIONS) {
      const fresh = new Positions(this.#machine);
      position = fresh.adopt(position);
      this.#positions = fresh;
      this.#masks = new Map();
    }
    this.#positions.rested();
    let at = position;
    for (const byte of this.#vocabulary.bytesOf(id)) {
      const next = this.#positions.step(at, byte);
      if (next === null) throw new Error(`grammar: token ${id} is in the mask and does not fit`);
      at = next;
    }
    return at;
  }

  mask(position: Position): Uint32Array {
    const known = this.#masks.get(position);
    if (known) return known;
    this.#positions.rested();
    const { words, end_ids, all } = this.#vocabulary;
    const mask = new Uint32Array(words);
    for (const [i, state] of position.states.entries()) {
      if (state === DONE) continue;
      const below = position.belows[i];
      if (below.nesting > this.#deepest) {
        this.#walk(all, 0, position, mask, null);
        continue;
      }
      const inside = this.#insideOf(state);
      for (let w = 0; w < words; w++) mask[w] |= inside.mask[w];
      if (below === this.#positions.bottom || inside.exits.length === 0) continue;
      const resumed = this.#positions.resume(below);
      for (const node of inside.exits) this.#walk(inside.tree, node, resumed, mask, null);
    }
    if (this.#positions.whole(position)) for (const id of end_ids) mask[id >>> 5] |= 1 << (id & 31);
    if (mask.every((word) => word === 0)) {
      throw new ServingError(
        'bad-grammar',
        'grammar: no token of the vocabulary goes on here, and the text may not end',
      );
    }
    if (this.#masks.size >= this.#kept) this.#masks.delete(this.#masks.keys().next().value as Position);
    this.#masks.set(position, mask);
    return mask;
  }

  #insideOf(state: number): Inside {
    const known = this.#inside.get(state);
    if (known) return known;
    const { words, all, other, plain } = this.#vocabulary;
    const { room } = this.#machine.states[state];
    const mask = room > 0 ? plain[Math.min(room, plain.length - 1)].slice() : new Uint32Array(words);
    const tree = room > 0 ? other : all;
    const exits: number[] = [];
    this.#walk(tree, 0, this.#positions.inside(state), mask, exits);
    const made = { mask, tree, exits: Uint32Array.from(exits) };
    if (this.#inside.size >= this.#kept) this.#inside.delete(this.#inside.keys().next().value as number);
    this.#inside.set(state, made);
    return made;
  }

  /** Marks the tokens below a node that the form allows from a position on; `exits` takes the inner nodes where an open rule ends. */
  #walk(tree: TokenTree, root: number, from: Position, mask: Uint32Array, exits: number[] | null): void {
    const { bytes, depths, ends, starts, ids } = tree;
    const positions = this.#positions;
    const path: Position[] = [from];
    const base = depths[root];
    for (let node = root + 1; node < ends[root]; ) {
      const depth = depths[node] - base;
      const next = positions.step(path[depth - 1], bytes[node]);
      if (next === null) {
        node = ends[node];
        continue;
      }
      for (let at = starts[node]; at < starts[node + 1]; at++) mask[ids[at] >>> 5] |= 1 << (ids[at] & 31);
      if (exits !== null && ends[node] > node + 1 && positions.left(next)) exits.push(node);
      path[depth] = next;
      node++;
    }
  }
}

class Answer implements Grammar {
  readonly check: ((text: string) => void) | undefined;
  readonly #form: TokenGrammar;
  #positions: Positions;
  #position: Position;
  #ended = false;

  constructor(form: TokenGrammar, start: Position, check: ((text: string) => void) | undefined) {
    this.check = check;
    this.#form = form;
    this.#positions = form.positions;
    this.#position = start;
  }

  get finished(): boolean {
    const { states } = this.#position;
    return this.#ended || (states.length === 1 && states[0] === DONE);
  }

  mask(): Uint32Array {
    return this.#form.mask(this.#here());
  }

  accept(id: number): void {
    if (this.#ended || !(Number.isInteger(id) && id >= 0 && allows(this.mask(), id))) {
      throw new ServingError('bad-grammar', `grammar: token ${id} is not among those that the form allows here`, {
        id,
      });
    }
    this.#ended = this.#form.ends(id);
    if (this.#ended) return;
    this.#position = this.#form.after(this.#here(), id);
    this.#positions = this.#form.positions;
  }

  #here(): Position {
    this.#position = this.#form.present(this.#position, this.#positions);
    this.#positions = this.#form.positions;
    return this.#position;
  }
}
