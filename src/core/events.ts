// The event types of the public log, one file each in events/. Everything that earns or costs somebody something is an event.
import { z } from 'zod';
import { accountAddress } from './events/account-address.ts';
import { answersJudged } from './events/answers-judged.ts';
import { answersSettled } from './events/answers-settled.ts';
import { creditGranted } from './events/credit-granted.ts';
import { deviceBound } from './events/device-bound.ts';
import { deviceRevoked } from './events/device-revoked.ts';
import { earningsPaid } from './events/earnings-paid.ts';
import type { Logged, NetworkEvent, RunEvent } from './events/kind.ts';
import { limitsPublished } from './events/limits-published.ts';
import { modelEvaluated } from './events/model-evaluated.ts';
import { payoutSettled } from './events/payout-settled.ts';
import { peerJoined } from './events/peer-joined.ts';
import { peerLeft } from './events/peer-left.ts';
import { plantRevealed } from './events/plant-revealed.ts';
import { registrySeen } from './events/registry-seen.ts';
import { roundDrawn } from './events/round-drawn.ts';
import { roundMerged } from './events/round-merged.ts';
import { roundOpened } from './events/round-opened.ts';
import { rulesProposed } from './events/rules-proposed.ts';
import { runArrived } from './events/run-arrived.ts';
import { runCreated } from './events/run-created.ts';
import { runEnded } from './events/run-ended.ts';
import { runHalted } from './events/run-halted.ts';
import { runLeaving } from './events/run-leaving.ts';
import { runListed } from './events/run-listed.ts';
import { runMoved } from './events/run-moved.ts';
import { runPart } from './events/run-part.ts';
import { runPaused } from './events/run-paused.ts';
import { runResumed } from './events/run-resumed.ts';
import { sharesStated } from './events/shares-stated.ts';
import { stakeLocked } from './events/stake-locked.ts';
import { stakeReleased } from './events/stake-released.ts';
import { tick } from './events/tick.ts';
import { verdictContested } from './events/verdict-contested.ts';
import { verdictGiven } from './events/verdict-given.ts';
import { verdictSealed } from './events/verdict-sealed.ts';
import { workSubmitted } from './events/work-submitted.ts';
import { fitsOf } from './form.ts';

const KINDS = [
  runCreated,
  runPaused,
  runResumed,
  runEnded,
  runHalted,
  runLeaving,
  runMoved,
  runArrived,
  runPart,
  runListed,
  peerJoined,
  peerLeft,
  deviceBound,
  deviceRevoked,
  registrySeen,
  tick,
  roundOpened,
  workSubmitted,
  roundDrawn,
  verdictSealed,
  verdictGiven,
  verdictContested,
  plantRevealed,
  rulesProposed,
  modelEvaluated,
  roundMerged,
  sharesStated,
  accountAddress,
  stakeLocked,
  stakeReleased,
  payoutSettled,
  creditGranted,
  answersSettled,
  earningsPaid,
  limitsPublished,
  answersJudged,
] as const;

type Schemas<Kinds> = Kinds extends readonly [{ readonly schema: infer First }, ...infer Rest]
  ? [First, ...Schemas<Rest>]
  : [];

export const EventBodySchema = z.discriminatedUnion('type', KINDS.map(({ schema }) => schema) as Schemas<typeof KINDS>);
export type EventBody = z.infer<typeof EventBodySchema>;
export type LoggedEvent = Logged<EventBody>;

const byType = new Map<string, NetworkEvent | RunEvent>(
  EventBodySchema.options.map(({ shape }, i) => [shape.type.value, KINDS[i]]),
);

/** The description of an event type: schema, checks, effect, words. */
export const kindOfEvent = (type: EventBody['type']): NetworkEvent | RunEvent => byType.get(type)!;

const versions = new Map<string, readonly number[]>(
  EventBodySchema.options.map(({ shape }) => [shape.type.value, [...shape.version.values]]),
);

/** The versions of an event type that this build knows; undefined: it does not know the type. */
export const versionsOf = (type: string): readonly number[] | undefined => versions.get(type);

const forms = new Map(EventBodySchema.options.map((schema) => [schema.shape.type.value as string, fitsOf(schema)]));

/** Whether a body is one of these events for sure; where not, EventBodySchema says. */
export const hasForm = (body: { readonly type: string }): body is EventBody => forms.get(body.type)?.(body) ?? false;

/** The blobs that an event names. */
export const blobsNamedBy = (body: EventBody): readonly string[] => kindOfEvent(body.type).blobs?.(body) ?? [];
