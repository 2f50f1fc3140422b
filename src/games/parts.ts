// A game as it is written: rules that are pure, work on a device, and what it shows. What calls it finds every part by its name.
import type { RunCreated } from '../core/events/run-created.ts';
import type { AnyGame, Game, StagedGame, TensorGame } from './game.ts';
import type { Capability } from './needs.ts';

type WorkPart = 'prepare' | 'perform' | 'check';
type ShownPart = 'metrics' | 'numbers' | 'evaluate' | 'sample' | 'textModel';

/** The parts of a game of some kind. */
export interface GameParts<G> {
  readonly name: string;
  /** What it asks of a device beside blobs and a store: who lends less is told so when it joins. */
  readonly needs?: readonly Capability[];
  /** Pure: settings, tasks, form, merge, the state's bytes, how much work is worth. The same in, the same bytes out, on every machine. */
  readonly rules: Omit<G, 'name' | 'needs' | WorkPart | ShownPart>;
  /** On a device: how work is done, and what a judge finds in it. */
  readonly work: Pick<G, WorkPart & keyof G>;
  /** For people: what the state is measured by, which numbers come with work and verdicts, how good the state is, and what it writes. */
  readonly shows: Pick<G, ShownPart & keyof G>;
}

// biome-ignore lint/suspicious/noExplicitAny: a game of whatever types; what it is given and gives is its own
type AnyParts = Game<any, any, any> | TensorGame<any, any> | StagedGame<any, any>;

/** A game from its parts. */
export const gameOf = <G extends AnyParts>({ name, needs, rules, work, shows }: GameParts<G>): G =>
  ({ name, needs, ...rules, ...work, ...shows }) as unknown as G;

/** A game's words, as the event that creates a run has them. */
export const wordsOfGame = ({ unit, metrics, numbers }: Pick<AnyGame, 'unit' | 'metrics' | 'numbers'>): GameWords => ({
  ...{ unit, metrics: [...metrics] },
  numbers: { work: [...(numbers?.work ?? [])], verdict: [...(numbers?.verdict ?? [])] },
});
export type GameWords = Pick<RunCreated, 'unit' | 'metrics' | 'numbers'>;
