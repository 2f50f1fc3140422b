// Moves of runs between the logs of hubs, made by hand for tests: a run with a real owner that leaves, and what is said where it goes.
import assert from 'node:assert/strict';
import { createIdentity, type DrawingIdentity, identityFromSecret } from '../../protocol/identity.ts';
import type { EventBody, LoggedEvent } from '../events.ts';
import type { Refusal } from '../refusal.ts';
import type { NetworkState, PeerState, RunState } from '../state.ts';
import { apply } from './checked-apply.ts';
import { type Departure, departure, logWith, signedRun } from './foreign-run.ts';

/** Where a run goes, if a test does not say otherwise. */
export const hubB: DrawingIdentity = identityFromSecret(new Uint8Array(32).fill(7));
export const URL_OF_B = 'http://b.example';

let serial = 0;
export const eventBy = (author: string, body: EventBody): LoggedEvent => ({
  id: (++serial).toString(16).padStart(64, '9'),
  author,
  body,
});

/** Says what must be taken. */
export function happen(state: NetworkState, author: string, body: EventBody): void {
  const refusal = apply(state, eventBy(author, body));
  assert.equal(refusal, null, `${body.type}: ${JSON.stringify(refusal)}`);
}

/** Says what may be refused. */
export const said = (state: NetworkState, author: string, body: EventBody): Refusal | null =>
  apply(state, eventBy(author, body));
export const refusalIn = (state: NetworkState, author: string, body: EventBody): string | undefined =>
  said(state, author, body)?.code;

/** A run comes to a log whole. */
export function arrive(b: NetworkState, { owner, run, arrived, parts }: Departure): RunState {
  happen(b, owner.id, arrived);
  for (const part of parts) happen(b, owner.id, part);
  const here = b.runs.get(run)!;
  assert.equal(here.phase, 'paused');
  assert.equal(b.arriving.size, 0);
  return here;
}

/** A hub's log with one paused run of a real owner in it. */
export interface Paused {
  readonly a: NetworkState;
  readonly hub: DrawingIdentity;
  readonly owner: DrawingIdentity;
  readonly run: RunState;
  readonly created: Uint8Array;
}

export async function pausedRun(): Promise<Paused> {
  const [hub, owner] = [createIdentity(), createIdentity()];
  const signed = await signedRun(owner);
  const { state: a, run } = logWith(hub.id, owner.id, signed);
  return { a, hub, owner, run, created: signed.created };
}

export const departs = ({ a, hub, owner, run, created }: Paused, to = hubB.id): Promise<Departure> =>
  departure({ state: a, run }, { hub, owner, created }, to);

/** The owner's word that sends a paused run away. */
export const leavingOf = ({ id: run, round, attempt }: RunState, to = hubB.id) =>
  ({ type: 'run.leaving', version: 1, run, round, attempt, to, url: URL_OF_B }) as const;

/** A worker that came once and left. */
export const peerOf = (id: string): PeerState => ({
  ...{ id, role: 'worker', name: 'x', runtime: 'wasm', present: false, joins: 1 },
  ...{ handed_in: false, stage: null, held: new Map(), credit_amount: 0, merged_submissions: 0, merged_round: null },
  ...{ refused_submissions: 0, judged: false, evaluated_rounds: null, consecutive_valid: 0, plants_right: 0 },
  ...{ plants_wrong: 0, forfeited_shares: 0, openings: 0, strikes: 0, struck_round: 0 },
  ...{ suspended_until: 0, warned_until: 0 },
});
