// A recursive automaton over bytes: rules whose states read bytes, call other rules, and end. JSON of any schema is one.
import { utf8 } from '../../protocol/hash.ts';
import { ServingError } from '../errors.ts';
import { SERVING_LIMITS } from '../limits.ts';

/** On a byte in lo..hi the text goes on at `to`. */
export interface Edge {
  readonly lo: number;
  readonly hi: number;
  readonly to: number;
}

/** The rule that begins at `start` is read whole, then the text goes on at `to`. */
export interface Call {
  readonly start: number;
  readonly to: number;
}

export interface State {
  readonly edges: Edge[];
  /** States that read nothing in between. */
  readonly skips: number[];
  readonly calls: Call[];
  /** Whether the rule may end here. */
  final: boolean;
  /** Whether the rule that begins here is one more level of nesting: an array or an object. */
  nests: boolean;
  /** Within a JSON string: how many characters that stand for themselves may follow in any case. */
  room: number;
}

/** State 0 is where a whole text ends. */
export const DONE = 0;

/** A finished automaton. */
export interface Machine {
  readonly states: readonly State[];
  readonly start: number;
  /** The least further nesting with which a rule can be ended from each state; Infinity where it never ends. */
  readonly needed: Float64Array;
}

/** Builds an automaton piece by piece. Throws ServingError `too-large` over the limit of states. */
export class MachineBuilder {
  readonly states: State[] = [newState()];

  /** A new state, reading nothing yet. */
  state(): number {
    if (this.states.length >= SERVING_LIMITS.grammar_states) {
      throw new ServingError('too-large', `grammar: the form needs more than ${SERVING_LIMITS.grammar_states} states`);
    }
    this.states.push(newState());
    return this.states.length - 1;
  }

  final(state: number): void {
    this.states[state].final = true;
  }

  nest(start: number): void {
    this.states[start].nests = true;
  }

  room(state: number, characters: number): void {
    this.states[state].room = characters;
  }

  edge(from: number, lo: number, hi: number, to: number): void {
    this.states[from].edges.push({ lo, hi, to });
  }

  skip(from: number, to: number): void {
    this.states[from].skips.push(to);
  }

  call(from: number, start: number, to: number): void {
    this.states[from].calls.push({ start, to });
  }

  /** Reads exactly these bytes; returns the state behind them. */
  bytes(from: number, bytes: Uint8Array): number {
    let at = from;
    for (const byte of bytes) {
      const next = this.state();
      this.edge(at, byte, byte, next);
      at = next;
    }
    return at;
  }

  text(from: number, text: string): number {
    return this.bytes(from, utf8(text));
  }

  /** Reads one of several byte strings as a tree, so that their number costs nothing while reading; all go on at `to`. */
  oneOf(from: number, choices: readonly Uint8Array[], to: number): void {
    const children = new Map<string, number>();
    for (const bytes of choices) {
      let at = from;
      for (const byte of bytes) {
        const key = `${at} ${byte}`;
        let next = children.get(key);
        if (next === undefined) {
          next = this.state();
          children.set(key, next);
          this.edge(at, byte, byte, next);
        }
        at = next;
      }
      this.skip(at, to);
    }
  }

  /** The automaton of the texts that a rule reads. Throws ServingError `unsupported` when there is none. */
  finish(rule: number): Machine {
    // A rule of its own that nobody calls: only it lies on the bottom of a stack.
    const start = this.state();
    const end = this.state();
    this.call(start, rule, end);
    this.final(end);
    refuseEndlessCalls(this.states);
    const needed = neededNesting(this.states);
    if (needed[start] > SERVING_LIMITS.grammar_nesting) {
      const why = Number.isFinite(needed[start])
        ? `nests over ${SERVING_LIMITS.grammar_nesting} levels`
        : 'is never whole';
      throw new ServingError(
        'unsupported',
        `grammar: no value can be written: every value that the form allows ${why}`,
      );
    }
    return { states: this.states, start, needed };
  }
}

function newState(): State {
  return { edges: [], skips: [], calls: [], final: false, nests: false, room: 0 };
}

/** needed[s], by going over all states until nothing changes; each round settles at least one level of nesting. */
function neededNesting(states: readonly State[]): Float64Array {
  const needed = new Float64Array(states.length).fill(Infinity);
  for (let changed = true; changed; ) {
    changed = false;
    // Backwards, because what is built later mostly lies behind: chains then settle in one round.
    for (let s = states.length - 1; s >= 0; s--) {
      const state = states[s];
      let least = state.final ? 0 : needed[s];
      for (const { to } of state.edges) least = Math.min(least, needed[to]);
      for (const to of state.skips) least = Math.min(least, needed[to]);
      for (const { start, to } of state.calls) {
        const inside = needed[start] + (states[start].nests ? 1 : 0);
        least = Math.min(least, Math.max(inside, needed[to]));
      }
      if (least < needed[s]) {
        needed[s] = least;
        changed = true;
      }
    }
  }
  return needed;
}

/** A rule that comes back to itself before it has read a byte would be entered without end. */
function refuseEndlessCalls(states: readonly State[]): void {
  const empty = readNothing(states);
  const rules = new Set(states.flatMap(({ calls }) => calls.map(({ start }) => start)));
  const entered = new Map([...rules].map((start) => [start, enteredUnread(states, start, empty)]));
  // Rules that enter nothing are settled; so are those that enter settled ones only. What is never settled goes round in a circle.
  for (let settled = true; settled; ) {
    settled = false;
    for (const [start, others] of entered) {
      for (const other of others) if (!entered.has(other)) others.delete(other);
      if (others.size > 0) continue;
      entered.delete(start);
      settled = true;
    }
  }
  if (entered.size > 0) {
    throw new ServingError('unsupported', 'grammar: the form refers to itself without anything in between');
  }
}

/** The rules that a rule enters before a byte is read. */
function enteredUnread(states: readonly State[], start: number, empty: Uint8Array): Set<number> {
  const entered = new Set<number>();
  const seen = new Set([start]);
  for (const s of seen) {
    for (const to of states[s].skips) seen.add(to);
    for (const call of states[s].calls) {
      entered.add(call.start);
      if (empty[call.start] === 1) seen.add(call.to);
    }
  }
  return entered;
}

/** From which states a rule may end without reading a byte. */
function readNothing(states: readonly State[]): Uint8Array {
  const empty = Uint8Array.from(states, (state) => (state.final ? 1 : 0));
  for (let changed = true; changed; ) {
    changed = false;
    for (let s = states.length - 1; s >= 0; s--) {
      if (empty[s] === 1) continue;
      const { skips, calls } = states[s];
      const ends =
        skips.some((to) => empty[to] === 1) || calls.some(({ start, to }) => empty[start] === 1 && empty[to] === 1);
      if (ends) {
        empty[s] = 1;
        changed = true;
      }
    }
  }
  return empty;
}
