// The subjects on which the processes of one hub talk, and the form of every message. A log's name is in each: one bus may carry several hubs.
import { z } from 'zod';
import { EventBodySchema } from '../../core/events.ts';
import { decodeFrame, encodeFrame } from '../../protocol/frames.ts';
import { HASH_FORM } from '../../protocol/hash.ts';
import { MAX_BUS_BYTES } from './bus.ts';

/** Under one of these names of the log's key no two logs meet by accident. */
const NAME_DIGITS = 16;

export const subjectsOf = (hub: string) => {
  const of = (what: string): string => `potluck.${hub.slice(0, NAME_DIGITS)}.${what}`;
  return {
    /** What the leader has written. */
    batch: of('batch'),
    /** Questions to the leader. */
    submit: of('submit'),
    submits: of('submits'),
    write: of('write'),
    head: of('head'),
    /** Who is connected where. */
    presence: of('presence'),
    /** Asks one process, or all, to say again who is connected there. */
    say_again: of('say-again'),
    /** Merges, for whoever makes them. */
    merge: of('merge'),
    /** What devices say about their work, for people. */
    talk: of('talk'),
    /** Frames between devices that are connected to different processes. */
    relay: (front: string) => of(`relay.${front}`),
    /** Letters and cosignatures (post.ts). */
    post: of('post'),
    /** Who is a gateway, and what each holds of accounts' credit. */
    gateways: of('gateways'),
    /** Asks a gateway for its fleet. */
    fleet: of('fleet'),
    /** Links to one process (links.ts). */
    link: (process: string) => of(`link.${process}`),
  };
};
export type Subjects = ReturnType<typeof subjectsOf>;

/** The same question, to this process. */
export const toProcess = (subject: string, instance: string): string => `${subject}.${instance}`;

/** The group that answers for the leader where nobody knows yet who that is: two processes that both believe they lead share it, and the journal decides. */
export const LEADERS = 'leaders';
export const MERGERS = 'mergers';

const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'expected bytes');
const count = z.int().min(0);
const hash = z.string().regex(HASH_FORM);
const place = z.tuple([hash, hash]);

/** What one question of a front end carries at most; its events have half of a message, its answers the other half. */
export const TOGETHER = { events: 256, bytes: MAX_BUS_BYTES / 2, message_characters: 1000 } as const;

/** What went wrong at the process that was asked. */
const RefusedSchema = z.strictObject({
  refused: z.strictObject({
    code: z.string().max(100),
    message: z.string().max(4000),
    refusal: z.string().max(100).optional(),
  }),
});
const answerOr = <T extends z.ZodType>(schema: T) => z.union([schema, RefusedSchema]);
const placed = answerOr(z.strictObject({ index: count }));

export const MESSAGES = {
  /** `batch`: encodeBatch's bytes, null where they do not fit into a message. `note`: a signed head that contains it. `rules`: by which the leader computes. */
  batch: z.strictObject({
    ...{ leader: z.string().max(100), batch: bytes.nullable(), note: z.string().max(10_000), rules: count },
  }),
  submit: z.strictObject({ event: bytes }),
  write: z.strictObject({ body: EventBodySchema }),
  placed,
  /** What a front end has at a time, in the order in which it came, and an answer to each in the same order. */
  submits: z.strictObject({ events: z.array(bytes).min(1).max(TOGETHER.events) }),
  all_placed: z.strictObject({ answers: z.array(placed).min(1).max(TOGETHER.events) }),
  head: z.strictObject({ least_size: count }),
  headed: answerOr(z.strictObject({ note: z.string().max(10_000) })),
  /** `here`, `gone`: pairs of run and key. `whole`: everybody who is there, in parts. `number`: of the last change that it contains. */
  presence: z.strictObject({
    instance: z.string().max(100),
    url: z.string().max(2000).nullable(),
    region: z.string().max(100).nullable(),
    number: count,
    whole: z.strictObject({ part: count, of: count }).nullable(),
    here: z.array(place),
    gone: z.array(place),
    ended: z.literal(true).optional(),
  }),
  /** Messages of devices, as they sent them. */
  talk: z.strictObject({
    instance: z.string().max(100),
    said: z.array(z.strictObject({ run: hash, peer: hash, message: bytes })),
  }),
  /** `held`: of accounts, in micro-credits; 0: nothing any more. What is not said again for a while is over. */
  gateway: z.strictObject({
    instance: z.string().max(100),
    held: z.array(z.tuple([hash, count])),
    ended: z.literal(true).optional(),
  }),
  /** null: all. */
  say_again: z.strictObject({ instance: z.string().max(100).nullable() }),
  merge: z.strictObject({ run: hash, round: count, attempt: count, size: count }),
  merged: answerOr(
    z.union([z.strictObject({ body: EventBodySchema }), z.strictObject({ working: z.string().max(200) })]),
  ),
} as const;
export type Message<Name extends keyof Messages> = Messages[Name];
type Messages = { [Name in keyof typeof MESSAGES]: z.infer<(typeof MESSAGES)[Name]> };

export const encodeBusMessage = <Name extends keyof Messages>(_: Name, message: Messages[Name]): Uint8Array =>
  encodeFrame(message);

/** Throws ProtocolError `malformed`, `too-large`. */
export const decodeBusMessage = <Name extends keyof Messages>(name: Name, frame: Uint8Array): Messages[Name] =>
  decodeFrame(frame, MESSAGES[name] as unknown as z.ZodType<Messages[Name]>, MAX_BUS_BYTES, Number.POSITIVE_INFINITY);
