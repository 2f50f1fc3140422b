// What passes between a program and a game that it hosts elsewhere: calls of the game's parts one way, what the game asks of its device the other.
import { z } from 'zod';
import { CodedError, type ErrorDetails } from '../../errors.ts';
import { HASH_FORM } from '../../protocol/hash.ts';
import { MetricsSchema, NumbersSchema, UnitSchema, ValuesSchema } from '../../protocol/measures.ts';
import { CAPABILITIES, type Capability } from '../needs.ts';

/**
 * How a value crosses. `value` is copied. `held` (a state or a task) stays in the game's thread, and the host holds a number for it.
 * The others are stood in for on the game's side: what is called on them is asked of the host.
 */
type Crossing = 'value' | 'held' | 'device' | 'signal' | 'judging';

/** The parts of a game that are called, with how their arguments cross (those that are not named here are copied), and their answer. */
export const PARTS = {
  first: { takes: ['value'], gives: 'held' },
  firstAmount: { takes: ['value'], gives: 'value' },
  task: { takes: ['value', 'value', 'value', 'held'], gives: 'held' },
  prepare: { takes: ['value', 'device'], gives: 'nothing' },
  perform: { takes: ['held', 'device', 'signal'], gives: 'value' },
  check: { takes: ['held', 'value', 'device', 'judging'], gives: 'value' },
  evaluate: { takes: ['value', 'held', 'device'], gives: 'value' },
  sample: { takes: ['value', 'held', 'device', 'signal'], gives: 'value' },
  merge: { takes: ['value', 'held', 'value'], gives: 'held' },
  encodeState: { takes: ['value', 'held'], gives: 'value' },
  decodeState: { takes: ['value', 'value'], gives: 'held' },
  checkForm: { takes: ['value', 'value'], gives: 'nothing' },
  goesOn: { takes: ['value'], gives: 'value' },
  sizes: { takes: ['value'], gives: 'value' },
} as const satisfies Readonly<
  Record<string, { readonly takes: readonly Crossing[]; readonly gives: 'value' | 'held' | 'nothing' }>
>;

export type Part = keyof typeof PARTS;
/** Settings are read by the game's schema, which is no function of its own. */
export type Called = Part | 'params';

/** An error, with the number of the question that it comes from, where the host's own answer failed: then the host knows it better. */
const FailureSchema = z.object({
  code: z.string().max(60).nullable(),
  message: z.string(),
  details: z.record(z.string(), z.unknown()),
  ask: z.int().nullable(),
});
export type Failure = z.infer<typeof FailureSchema>;

/** To the game. */
export type ToGame =
  | { readonly type: 'call'; readonly call: number; readonly part: Called; readonly values: readonly unknown[] }
  | { readonly type: 'stop'; readonly call: number }
  | { readonly type: 'drop'; readonly held: number }
  | { readonly type: 'given'; readonly ask: number; readonly value: unknown }
  | { readonly type: 'not-given'; readonly ask: number; readonly failure: Failure }
  | { readonly type: 'ping' };

const NeedsSchema = z.array(z.enum(Object.keys(CAPABILITIES) as Capability[]));
const count = z.int().min(0);
const asked = z.string().max(40);
/** From the game, which nobody trusts. `of`: the device that is asked, or for `earlier` the call. */
export const FromGameSchema = z.discriminatedUnion('type', [
  z.object({
    ...{ type: z.literal('ready'), name: z.string(), needs: NeedsSchema },
    ...{ unit: UnitSchema, metrics: MetricsSchema, numbers: NumbersSchema },
    parts: z.array(z.string()),
  }),
  z.object({ type: z.literal('no-game'), message: z.string() }),
  z.object({ type: z.literal('answer'), call: count, value: z.unknown() }),
  z.object({ type: z.literal('failed'), call: count, failure: FailureSchema }),
  z.object({ type: z.literal('ask'), of: count, ask: count, what: asked, values: z.array(z.unknown()).max(8) }),
  z.object({ type: z.literal('pong') }),
]);
export type FromGame = z.infer<typeof FromGameSchema>;

/** A way to a game and back. */
export interface GamePort {
  post(message: ToGame): void;
  /** What comes is `unknown`: it is read by FromGameSchema. `onEnd` hears why nothing will come any more. */
  open(onMessage: (message: unknown) => void, onEnd: (why: string) => void): void;
  /** Whether somebody waits for an answer: only then it keeps the process alive. */
  hold(waited_for: boolean): void;
  /** Ends the game whatever it does. */
  end(): void;
}

const name = z.string().min(1).max(200);
const shape = z
  .array(
    z
      .int()
      .min(0)
      .max(2 ** 31),
  )
  .max(8);
const names = z.array(name).max(4096);
/** As `CompiledGraph` of tensor/runtime.ts. */
const GraphSchema = z.object({
  onnx: z.instanceof(Uint8Array<ArrayBuffer>),
  ...{ inputs: names, outputs: names },
  states: z.array(z.object({ name, next: name.nullable(), shape })).max(4096),
});
const TensorSchema = z.discriminatedUnion('dtype', [
  z.object({ dtype: z.literal('float32'), shape, data: z.instanceof(Float32Array) }),
  z.object({ dtype: z.literal('int32'), shape, data: z.instanceof(Int32Array) }),
]);

/** What a device is asked for, by what a game calls. */
export const ASKS = {
  progress: z.tuple([z.object({ amount: z.int().min(0), numbers: ValuesSchema })]),
  rested: z.tuple([]),
  earlier: z.tuple([]),
  fetchBlob: z.tuple([z.string().regex(HASH_FORM)]),
  get: z.tuple([z.string().regex(/^[a-z0-9-]{1,40}$/)]),
  put: z.tuple([z.string().regex(/^[a-z0-9-]{1,40}$/), z.instanceof(Uint8Array)]),
  delete: z.tuple([z.string().regex(/^[a-z0-9-]{1,40}$/)]),
  run: z.tuple([z.string(), z.unknown(), z.looseObject({}).optional()]),
  load: z.tuple([GraphSchema]),
  writeState: z.tuple([count, z.map(name, z.instanceof(Float32Array))]),
  readState: z.tuple([count, names]),
  runGraph: z.tuple([count, z.record(name, TensorSchema)]),
  close: z.tuple([count]),
} as const;
export type Asked = keyof typeof ASKS;

/** An error as data. */
export function failureOf(error: unknown, ask: number | null = null): Failure {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof CodedError)) return { code: null, message, details: {}, ask };
  return { code: error.code, message, details: { ...error.details }, ask };
}

/** An error that was data. */
export function errorOf({ code, message, details }: Failure): Error {
  return code === null ? new Error(message) : new CodedError(code, message, details as ErrorDetails);
}
