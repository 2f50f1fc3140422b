// Where a text can be in an automaton: all stacks of open rules at once, merged into one graph whose equal parts are one object.
import { ServingError } from '../errors.ts';
import { SERVING_LIMITS } from '../limits.ts';
import { DONE, type Machine, type State } from './machine.ts';

/**
 * A set of stacks: for each state at most one entry, whose `below` holds all stacks under it. Equal sets are the same object, and a
 * step is remembered, so the automaton becomes deterministic as far as texts reach. Stacks that differ only below are one entry: a form
 * that could be read in exponentially many ways costs no more than its states.
 */
export interface Position {
  readonly states: readonly number[];
  readonly belows: readonly Position[];
  /** Open arrays and objects. */
  readonly nesting: number;
  readonly key: number;
  /** What follows each byte: null where nothing does, undefined where nobody has looked. */
  next: (Position | null | undefined)[] | null;
  /** As the text goes on when the rule above has ended. */
  resumed: Position | null;
}

/** The number of entries that one question may look at: about a second. A form that needs more is refused, not waited for. */
const LIMIT_WORK = 30_000_000;

export class Positions {
  readonly #machine: Machine;
  readonly #known = new Map<string, Position>();
  readonly #unions = new Map<string, Position>();
  #work = 0;
  /** Under the whole text. */
  readonly bottom: Position;
  /** Under a rule whose surroundings are left open. */
  readonly hole: Position;

  constructor(machine: Machine) {
    this.#machine = machine;
    this.bottom = newPosition(0);
    this.hole = newPosition(1);
  }

  get size(): number {
    return this.#known.size;
  }

  /** Before the first byte. */
  start(): Position {
    return this.#reach([this.#machine.start], [this.bottom]) as Position;
  }

  /** At a state of a rule whose surroundings are left open. */
  inside(state: number): Position {
    return this.#reach([state], [this.hole]) as Position;
  }

  /** Whether the whole text may end here. */
  whole(position: Position): boolean {
    return position.states[0] === DONE && position.belows[0] === this.bottom;
  }

  /** Whether the rule with open surroundings may end here. */
  left(position: Position): boolean {
    return position.states[0] === DONE && position.belows[0] === this.hole;
  }

  /** Behind a byte; null where none of the texts goes on with it. */
  step(from: Position, byte: number): Position | null {
    from.next ??= new Array<undefined>(256);
    const known = from.next[byte];
    if (known !== undefined) return known;
    const states: number[] = [];
    const belows: Position[] = [];
    for (const [i, s] of from.states.entries()) {
      this.#count();
      for (const { lo, hi, to } of this.#machine.states[s].edges) {
        if (byte < lo || byte > hi) continue;
        states.push(to);
        belows.push(from.belows[i]);
      }
    }
    const reached = this.#reach(states, belows);
    from.next[byte] = reached;
    return reached;
  }

  /** Where the text goes on behind an ended rule whose surroundings these are. */
  resume(below: Position): Position {
    below.resumed ??= this.#reach(below.states, below.belows) as Position;
    return below.resumed;
  }

  /** The same position, made of this object's parts: how a text goes on after its memory was thrown away. */
  adopt(position: Position): Position {
    const copies = new Map<Position, Position>();
    const copy = (from: Position): Position => {
      const known = copies.get(from);
      if (known) return known;
      const made =
        from.key === 0
          ? this.bottom
          : from.key === 1
            ? this.hole
            : this.#intern(from.states, from.belows.map(copy), from.nesting);
      copies.set(from, made);
      return made;
    };
    return copy(position);
  }

  /** Begins a question of its own, with the whole allowance of work. */
  rested(): void {
    this.#work = 0;
  }

  #count(): void {
    if (++this.#work > LIMIT_WORK) {
      throw new ServingError('too-large', 'grammar: the form can be read in too many ways at once', {
        limit: LIMIT_WORK,
      });
    }
  }

  /** The position of these entries and of all that they reach without reading a byte; null where none is left. */
  #reach(states: readonly number[], belows: readonly Position[]): Position | null {
    const machine = this.#machine;
    const seen = new Map<number, Set<Position>>();
    const open: [number, Position][] = [];
    const add = (state: number, below: Position): void => {
      // An entry that cannot be ended within the nesting that is left would lead into a dead end.
      if (state !== DONE && below.nesting + machine.needed[state] > SERVING_LIMITS.grammar_nesting) return;
      this.#count();
      const there = seen.get(state);
      if (there?.has(below)) return;
      if (there) there.add(below);
      else seen.set(state, new Set([below]));
      open.push([state, below]);
    };
    for (const [i, state] of states.entries()) add(state, belows[i]);
    for (let entry = open.pop(); entry; entry = open.pop()) {
      const [s, below] = entry;
      if (s === DONE) continue;
      const state = machine.states[s];
      for (const to of state.skips) add(to, below);
      for (const { start, to } of state.calls) {
        // Who cannot go on behind the rule need not enter it.
        if (below.nesting + machine.needed[to] > SERVING_LIMITS.grammar_nesting) continue;
        const { nests } = machine.states[start];
        // A rule that ends with this call leaves no trace, so chains of references cost nothing.
        add(
          start,
          !nests && endsOnly(machine.states[to]) ? below : this.#intern([to], [below], below.nesting + (nests ? 1 : 0)),
        );
      }
      if (!state.final) continue;
      if (below === this.bottom || below === this.hole) add(DONE, below);
      for (const [i, to] of below.states.entries()) add(to, below.belows[i]);
    }
    const kept = [...seen].filter(([s]) => s === DONE || machine.states[s].edges.length > 0).sort(([a], [b]) => a - b);
    if (kept.length === 0) return null;
    return this.#intern(
      kept.map(([s]) => s),
      kept.map(([, there]) => [...there].reduce((a, b) => this.#union(a, b))),
    );
  }

  /** All stacks of both. */
  #union(a: Position, b: Position): Position {
    if (a === b) return a;
    // Nesting follows from the text, and only nesting makes a rule lie over itself: so the ends of stacks never differ for one state.
    if (a.key < 2 || b.key < 2) throw new Error('grammar: a rule lies on the bottom and not on the bottom at once');
    const [first, second] = a.key < b.key ? [a, b] : [b, a];
    const key = `${first.key} ${second.key}`;
    const known = this.#unions.get(key);
    if (known) return known;
    const merged = new Map<number, Position>();
    for (const part of [first, second]) {
      for (const [i, s] of part.states.entries()) {
        this.#count();
        const other = merged.get(s);
        merged.set(s, other ? this.#union(other, part.belows[i]) : part.belows[i]);
      }
    }
    const sorted = [...merged].sort(([x], [y]) => x - y);
    const nesting = Math.max(a.nesting, b.nesting);
    const union = this.#intern(
      sorted.map(([s]) => s),
      sorted.map(([, below]) => below),
      nesting,
    );
    this.#unions.set(key, union);
    return union;
  }

  #intern(states: readonly number[], belows: readonly Position[], nesting = 0): Position {
    let key = `${nesting}`;
    for (const [i, s] of states.entries()) key += ` ${s}:${belows[i].key}`;
    const known = this.#known.get(key);
    if (known) return known;
    const made: Position = { states, belows, nesting, key: this.#known.size + 2, next: null, resumed: null };
    this.#known.set(key, made);
    return made;
  }
}

function endsOnly(state: State): boolean {
  return state.final && state.edges.length === 0 && state.skips.length === 0 && state.calls.length === 0;
}

function newPosition(key: number): Position {
  return { states: [], belows: [], nesting: 0, key, next: null, resumed: null };
}
