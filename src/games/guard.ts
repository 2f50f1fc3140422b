// A game whose author nobody knows, made safe to call: what it throws, forgets to answer or answers amiss becomes a GameError.
import { z } from 'zod';
import { CORE_LIMITS } from '../core/limits.ts';
import { CodedError } from '../errors.ts';
import type { Named } from '../protocol/measures.ts';
import { GameError } from './errors.ts';
import { type AnyGame, hasTensors } from './game.ts';
import { wordsOfGame } from './parts.ts';

/** How long a game may take before it is given up. Work that listens to its signal is asked to stop first. */
export interface GuardLimits {
  readonly perform_ms: number;
  /** From the signal to the claim. */
  readonly stop_ms: number;
  readonly check_ms: number;
}

/** Wide enough for a day's round; whoever knows the round's length says less. */
const PATIENT: GuardLimits = { perform_ms: 86_400_000, stop_ms: 60_000, check_ms: 600_000 };

const micro = z.int();
const VERDICT = {
  accepted: z.boolean(),
  fraud: z.boolean(),
  code: z.string().min(1).max(60),
  weight: z.int().min(0),
  score_micro: micro,
  evidence: z.record(z.string(), z.unknown()),
};
const WrittenSchema = z.object({ prompt: z.string(), text: z.string() }).nullable();
const BytesSchema = z.instanceof(Uint8Array);
const bytes = z.int().min(1);
const AmountSchema = z.int().min(1);
const SizesSchema = z.object({ max_bytes: bytes, dense_bytes: bytes, memory_bytes: bytes.optional() });

/**
 * The same game, which answers well formed and in time or throws a GameError game-threw, game-nonsense or game-late. Errors that
 * the device raises (CodedError: a blob that cannot be had) pass. A loop that never gives way stops the thread that it runs in; no promise
 * helps there: games from files run in a thread that can be ended (host/), and so does `potluck play`.
 */
export function guardGame(game: AnyGame, limits: Partial<GuardLimits> = {}): AnyGame {
  const { perform_ms, stop_ms, check_ms } = { ...PATIENT, ...limits };
  const { name } = game;
  const threw = (where: string, error: unknown): never => {
    if (error instanceof CodedError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new GameError('game-threw', `${name}.${where}: ${message}`, { where });
  };
  const read = <T>(where: string, schema: z.ZodType<T>, value: unknown): T => {
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    const { path, message } = parsed.error.issues[0];
    throw new GameError('game-nonsense', `${name}.${where}: ${path.join('.') || 'answer'}: ${message}`, { where });
  };
  /** What is answered at once stays so: an arena's rounds are one piece, a hosted game's parts are not. */
  const now = <T, R>(where: string, call: () => T | Promise<T>, then: (answer: T) => R): R | Promise<R> => {
    try {
      const answer = call();
      if (!(answer instanceof Promise)) return then(answer);
      return answer.then(then, (error: unknown) => threw(where, error));
    } catch (error) {
      return threw(where, error);
    }
  };
  /** A call that is too late is still under way. */
  const caught = async <T>(where: string, call: () => T | Promise<T>): Promise<T> => {
    try {
      return await call();
    } catch (error) {
      return threw(where, error);
    }
  };
  const inTime = async <T>(
    where: string,
    limit_ms: number,
    call: () => T | Promise<T>,
    stop?: AbortSignal,
  ): Promise<T> => {
    let timer: NodeJS.Timeout | undefined;
    let onStop = (): void => {};
    const late = new Promise<never>((_, reject) => {
      const giveUp = (wait_ms: number): void => {
        clearTimeout(timer);
        const error = new GameError('game-late', `${name}.${where}: expected an answer within ${wait_ms} ms`, {
          where,
        });
        timer = setTimeout(() => reject(error), wait_ms);
      };
      onStop = () => giveUp(stop_ms);
      giveUp(limit_ms);
      if (stop?.aborted) onStop();
      else stop?.addEventListener('abort', onStop, { once: true });
    });
    try {
      return await Promise.race([caught(where, call), late]);
    } finally {
      clearTimeout(timer);
      stop?.removeEventListener('abort', onStop);
    }
  };

  const { numbers } = wordsOfGame(game);
  const valuesOf = (named: readonly Named[]) =>
    z.strictObject(Object.fromEntries(named.map(({ name }) => [name, z.int().exactOptional()])));
  const ClaimSchema = z.object({
    work: z.instanceof(Uint8Array),
    amount: z.int().min(1).max(CORE_LIMITS.amount),
    numbers: valuesOf(numbers.work),
  });
  const VerdictSchema = z.object({ ...VERDICT, numbers: valuesOf(numbers.verdict) });
  const measured = z.strictObject(Object.fromEntries(game.metrics.map((metric) => [metric.name, z.int()])));
  const isAny = (answer: unknown): unknown => answer;
  const as =
    <T>(where: string, schema: z.ZodType<T>) =>
    (answer: unknown): T =>
      read(where, schema, answer);
  const guarded: Omit<
    AnyGame,
    | 'merge'
    | 'encodeState'
    | 'decodeState'
    | 'stages'
    | 'tensors'
    | 'openMerge'
    | 'openCut'
    | 'openFollow'
    | 'cut'
    | 'follow'
  > = {
    name,
    ...{ needs: game.needs, unit: game.unit, metrics: game.metrics, numbers: game.numbers },
    params: game.params,
    firstAmount:
      game.firstAmount &&
      ((params) => now('firstAmount', () => game.firstAmount!(params), as('firstAmount', AmountSchema))),
    first: game.first && ((params) => now('first', () => game.first!(params), isAny)),
    task: (params, round, peer, state) => now('task', () => game.task(params, round, peer, state), isAny),
    prepare:
      game.prepare &&
      ((params, device) => inTime('prepare', check_ms, () => game.prepare!(params, device)).then(() => {})),
    async perform(task, device, signal) {
      const claim = await inTime('perform', perform_ms, () => game.perform(task, device, signal), signal);
      return claim === null ? null : read('perform', ClaimSchema, claim);
    },
    async check(task, claim, device, judging) {
      const answer = await inTime('check', check_ms, () => game.check(task, claim, device, judging));
      const verdict = read('check', VerdictSchema, answer);
      const { accepted, fraud, weight } = verdict;
      if (accepted === weight > 0 && !(accepted && fraud) && weight <= claim.amount) return verdict;
      throw new GameError(
        'game-nonsense',
        `${name}.check: accepted work has a weight of 1 to the amount of ${claim.amount} claimed and is no fraud, refused work has weight 0; got ${JSON.stringify({ accepted, fraud, weight })}`,
      );
    },
    async evaluate(params, state, device) {
      const answer = await inTime('evaluate', check_ms, () => game.evaluate(params, state, device));
      return read('evaluate', measured, answer);
    },
    sample:
      game.sample &&
      (async (params, state, device, signal) => {
        const answer = await inTime('sample', check_ms, () => game.sample!(params, state, device, signal), signal);
        return read('sample', WrittenSchema, answer);
      }),
    checkForm: (params, work) =>
      now(
        'checkForm',
        () => game.checkForm(params, work),
        () => {},
      ),
    goesOn:
      game.goesOn &&
      ((work) =>
        now(
          'goesOn',
          () => game.goesOn!(work),
          (answer) => answer === true,
        )),
    sizes: (params) => now('sizes', () => game.sizes(params), as('sizes', SizesSchema)),
  };
  if (hasTensors(game)) {
    return {
      ...guarded,
      tensors: game.tensors,
      openMerge: game.openMerge,
      openCut: game.openCut,
      openFollow: game.openFollow,
      ...(game.stages && { stages: game.stages }),
    } as AnyGame;
  }
  return {
    ...guarded,
    merge: (params, state, accepted) => now('merge', () => game.merge(params, state, accepted), isAny),
    cut: game.cut && ((params, rest, accepted) => now('cut', () => game.cut!(params, rest, accepted), isAny)),
    follow: game.follow && ((params, state, step) => now('follow', () => game.follow!(params, state, step), isAny)),
    encodeState: (params, state) =>
      now('encodeState', () => game.encodeState(params, state), as('encodeState', BytesSchema)),
    decodeState: (params, bytes) => now('decodeState', () => game.decodeState(params, bytes), isAny),
  } as AnyGame;
}
