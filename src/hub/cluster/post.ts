// What a process of a hub keeps that is in no log, passed on to the others: letters between devices and owners, cosignatures of witnesses, and devices
// that wait for a word of the registry.
//
// A message may be lost, and a process may come later. Devices and witnesses write and ask again, and whoever hears of a device's letter sends it newer settings.
import { z } from 'zod';
import { LETTER_LIMITS } from '../../protocol/device-letters.ts';
import { decodeFrame, encodeFrame } from '../../protocol/frames.ts';
import { bytes, count, hash } from '../../protocol/schemas.ts';
import type { Bus } from './bus.ts';
import { MAX_BUS_BYTES } from './bus.ts';
import type { Subjects } from './subjects.ts';

/** A note with its signatures: 64 of some 200 characters. */
const NOTE_CHARACTERS = 32_000;

const letter = bytes(LETTER_LIMITS.bytes);
const WordSchema = z.discriminatedUnion('kind', [
  /** A device's report, and the number of the newest settings for it that its process knows; null: none. */
  z.strictObject({ kind: z.literal('report'), letter, settings: count.nullable() }),
  z.strictObject({ kind: z.literal('settings'), letter }),
  /** A device asks whether this log knows it from the registry: whoever leads looks there. */
  z.strictObject({ kind: z.literal('wanted'), device: hash }),
  /** `witness`: one that a process was told to ask; null: one whose key is in its name. */
  z.strictObject({
    ...{ kind: z.literal('cosigned'), note: z.string().max(NOTE_CHARACTERS) },
    witness: z.strictObject({ name: z.string().max(500), id: z.string().max(200) }).nullable(),
  }),
]);
export type PostWord = z.infer<typeof WordSchema>;
const PostSchema = z.strictObject({ instance: z.string().max(100), word: WordSchema });

export interface Post {
  /** Tells the other processes. */
  send(word: PostWord): void;
  /** Hears what others send, each listener all of it. What it throws is reported. */
  listen(hear: (word: PostWord) => void): void;
  close(): void;
}

/** For a hub that is one process. */
export const NO_POST: Post = { send() {}, listen() {}, close() {} };

export function openPost(options: {
  readonly bus: Bus;
  readonly subjects: Pick<Subjects, 'post'>;
  readonly instance: string;
  onError(error: unknown): void;
}): Post {
  const { bus, subjects, instance, onError } = options;
  const listeners: ((word: PostWord) => void)[] = [];
  const subscription = bus.subscribe(subjects.post, (frame) => {
    try {
      const { instance: from, word } = decodeFrame(frame, PostSchema, MAX_BUS_BYTES, Number.POSITIVE_INFINITY);
      if (from !== instance) for (const hear of listeners) hear(word);
    } catch (error) {
      onError(error);
    }
  });
  return {
    send: (word) => bus.publish(subjects.post, encodeFrame({ instance, word })),
    listen: (hear) => void listeners.push(hear),
    close: () => subscription.close(),
  };
}
