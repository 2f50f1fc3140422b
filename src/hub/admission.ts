// What the hub checks before it asks the core: the blobs that an event names are uploaded and have the form that their game demands.

import { isDeepStrictEqual } from 'node:util';
import { beginningOf } from '../audit/run-beginning.ts';
import type { RunCreated } from '../core/events/run-created.ts';
import type { VerdictGiven } from '../core/events/verdict-given.ts';
import type { WorkSubmitted } from '../core/events/work-submitted.ts';
import { kindOfEvent, type LoggedEvent } from '../core/events.ts';
import type { StateMachine } from '../core/reduce.ts';
import { flawOfEvidence, flawOfSize } from '../core/rounds/evidence.ts';
import type { NetworkState } from '../core/state.ts';
import { CodedError } from '../errors.ts';
import { stagesOf } from '../games/game.ts';
import { wordsOfGame } from '../games/parts.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import { LedgerError } from '../ledger/errors.ts';
import { HubError, missing } from './errors.ts';
import type { Models } from './models.ts';

/** What the hub's operator says from outside, signed with the hub's key: each is numbered, so that none counts twice. */
const OPERATORS_WORDS: ReadonlySet<string> = new Set(['credit.granted', 'earnings.paid']);

/** Checks an event from outside, except its signature. Throws HubError, GameError or the game's own error. */
export async function admit(
  event: LoggedEvent,
  state: NetworkState,
  machine: StateMachine,
  blobs: BlobStore,
  models: Models,
): Promise<void> {
  const { body, author } = event;
  const isOperators = author === state.hub && OPERATORS_WORDS.has(body.type);
  if (kindOfEvent(body.type).by_hub && !isOperators) {
    throw new HubError('not-yours', `${body.type} is written by the hub, it cannot be sent in`, { type: body.type });
  }
  // The core's check comes first, because it is cheap: blobs are read only for events that could follow.
  const refusal = machine.refusalOf(state, event);
  if (refusal) throw new HubError('refused', refusal.message, { refusal: refusal.code });
  const began = beginningOf(event);
  if (began) await admitRun(began.created, models);
  if (body.type === 'run.created') await models.checkFirst(body, body.model);
  if (body.type === 'run.part') for (const blob of body.blobs) await sizeOf(blobs, blob);
  if (body.type === 'work.submitted') await admitWork(body, state, blobs, models);
  if (body.type === 'verdict.given') {
    const flaw = await flawIn(body, event.author, blobs);
    if (flaw) throw new HubError('bad-evidence', flaw, { submission: body.submission });
  }
}

async function admitRun(body: RunCreated, models: Models): Promise<void> {
  const { game, params } = await models.game(body);
  const { unit, metrics, numbers, stages = 0 } = body;
  if (!isDeepStrictEqual({ unit, metrics, numbers }, wordsOfGame(game))) {
    throw new HubError(
      'other-words',
      `the run names another unit, or other metrics or numbers, than its game ${body.game}`,
    );
  }
  const cut = stagesOf(game, params);
  if (stages !== cut) {
    throw new HubError(
      'other-stages',
      `the run names ${stages} stages, its game ${body.game} cuts its model into ${cut}`,
    );
  }
  await game.sizes(params); // the hub calls this for every run whenever it starts, so it must not fail then
}

async function admitWork(body: WorkSubmitted, state: NetworkState, blobs: BlobStore, models: Models): Promise<void> {
  const { spec } = state.runs.get(body.run)!;
  const { game, params } = await models.game(spec);
  const { max_bytes } = await game.sizes(params);
  if (body.size_bytes > max_bytes) {
    throw new HubError('wrong-size', `work: at most ${max_bytes} bytes, got ${body.size_bytes}`, { max_bytes });
  }
  const size_bytes = await sizeOf(blobs, body.work);
  if (size_bytes !== body.size_bytes) {
    throw new HubError('wrong-size', `work: the event says ${body.size_bytes} bytes, the blob has ${size_bytes}`);
  }
  try {
    await models.checkForm(spec, body.work);
  } catch (error) {
    // What the hub or its disk fails at says nothing about the work.
    if (!(error instanceof CodedError) || error instanceof HubError || error instanceof LedgerError) throw error;
    throw new HubError('bad-work', error.message, { reason: error.code });
  }
}

/** What is wrong with a verdict's evidence; what is too large is not read. */
async function flawIn(
  { evidence, submission }: VerdictGiven,
  validator: string,
  blobs: BlobStore,
): Promise<string | null> {
  const flaw = flawOfSize(await sizeOf(blobs, evidence));
  if (flaw) return flaw;
  const bytes = await blobs.get(evidence);
  return bytes ? flawOfEvidence(bytes, submission, validator) : missing(evidence);
}

async function sizeOf(blobs: BlobStore, hash: string): Promise<number> {
  return (await blobs.sizeOf(hash)) ?? missing(hash);
}
