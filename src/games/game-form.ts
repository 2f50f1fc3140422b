// What a module must export to be a game, wherever it comes from.
import { z } from 'zod';
import { firstIssue } from '../errors.ts';
import { MetricsSchema, NumbersSchema, UnitSchema } from '../protocol/measures.ts';
import { GameError } from './errors.ts';
import type { Game } from './game.ts';
import { CAPABILITIES, type Capability } from './needs.ts';

/** What games are called, in runs and in files. */
export const GAME_NAME = /^[a-z][a-z0-9-]{0,39}$/;

/** A game's file that travels: many times what a game needs that imports everything large from here. */
export const GAME_FILE_BYTES = 1 << 18;

const method = z.custom<(...values: never[]) => unknown>((value) => typeof value === 'function', 'expected a function');
const GameFileSchema = z.object({
  game: z.looseObject({
    name: z.string().regex(GAME_NAME, 'expected a name such as addition-chain'),
    needs: z.array(z.enum(Object.keys(CAPABILITIES) as Capability[])).optional(),
    unit: UnitSchema,
    metrics: MetricsSchema,
    numbers: NumbersSchema.partial().optional(),
    params: z.custom<z.ZodType>(
      (value) => typeof (value as z.ZodType | null)?.safeParse === 'function',
      'expected a zod schema',
    ),
    ...{ first: method.optional(), prepare: method.optional(), sample: method.optional(), goesOn: method.optional() },
    ...{ task: method, perform: method, check: method, evaluate: method, merge: method },
    ...{ encodeState: method, decodeState: method, checkForm: method, sizes: method },
  }),
});

// biome-ignore lint/suspicious/noExplicitAny: a game of whatever types; what it is given and gives is its own
export type FileGame = Game<any, any, any>;

/** The game that a module exports, as it is. Throws GameError bad-game-file with what is wrong; `from` is where it comes from. */
export function gameIn(module: object, from: string): FileGame {
  const parsed = GameFileSchema.safeParse({ ...module });
  if (parsed.success) return (module as { game: FileGame }).game;
  throw new GameError('bad-game-file', `${from}: ${firstIssue(parsed.error)}`);
}
