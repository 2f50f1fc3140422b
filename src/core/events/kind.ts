// What there is to know of a kind of event: its form, when it may follow, what it does, which blobs it names, how people are told of it.
import type { z } from 'zod';
import type { Refusal } from '../refusal.ts';
import type { NetworkState, RunState } from '../state.ts';

type BodySchema = z.core.$ZodTypeDiscriminable;

/** An event as it stands in the log: who signed it, and the hash of its bytes. */
export interface Logged<Body> {
  readonly id: string;
  readonly author: string;
  readonly body: Body;
}

/** What people look for an event under. */
export type About = 'run' | 'device' | 'work' | 'verdict' | 'model' | 'shares' | 'money' | 'clock';

/** How keys, numbers and texts are put to people. */
export interface Say {
  name(key: string): string;
  quoted(text: string): string;
  count(value: number, what: string): string;
  whole(value: number): string;
  bytes(size_bytes: number): string;
  /** What a run's work is counted in. */
  unit(run: string): string;
  /** Named numbers (protocol/measures.ts). */
  measures(numbers: Readonly<Record<string, number>>): string;
  short(hash: string): string;
  runtime(runtime: string): string;
  time(time_ms: number): string;
}

interface Kind<Body> {
  /** Of an event that the hub alone signs: what it does then, for the refusal of others. */
  readonly by_hub?: string;
  readonly about: About;
  /** The blobs that an event names: from then on they belong to the log. */
  blobs?(body: Body): readonly string[];
  /** The event as a sentence; `who` is the name of its author. */
  words(body: Body, who: string, say: Say): string;
}

interface NetworkKind<Body> extends Kind<Body> {
  /** Why it may not follow; null: it may. */
  refusalOf(state: NetworkState, event: Logged<Body>): Refusal | null;
  /** To be called only when `refusalOf` said null. */
  apply(state: NetworkState, event: Logged<Body>): void;
}

interface RunKind<Body> extends Kind<Body> {
  /** Whether somebody may hold more or less afterwards: a settlement must speak of a log that knows of it. */
  readonly changes_balances?: true;
  /** Whether it may still follow in this log when the run goes on in another one. */
  readonly after_move?: true;
  refusalOf(state: NetworkState, run: RunState, event: Logged<Body>): Refusal | null;
  apply(state: NetworkState, run: RunState, event: Logged<Body>): void;
}

export type NetworkEvent<Schema extends BodySchema = BodySchema> = NetworkKind<z.infer<Schema>> & {
  readonly schema: Schema;
  readonly in_run: false;
};
export type RunEvent<Schema extends BodySchema = BodySchema> = RunKind<z.infer<Schema>> & {
  readonly schema: Schema;
  readonly in_run: true;
};

/** A kind of event that belongs to no run. */
export const networkEvent = <Schema extends BodySchema>(
  schema: Schema,
  kind: NetworkKind<z.infer<Schema>>,
): NetworkEvent<Schema> => ({ ...kind, schema, in_run: false });

/** A kind of event that names the run it belongs to. */
export const runEvent = <Schema extends BodySchema>(
  schema: Schema,
  kind: RunKind<z.infer<Schema>>,
): RunEvent<Schema> => ({ ...kind, schema, in_run: true });
