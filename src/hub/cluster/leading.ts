// What the process that leads does for the others: takes their events into the log, and sends round what it has written.
import { decodeEvent } from '../../core/codec.ts';
import { blobsNamedBy, type EventBody } from '../../core/events.ts';
import { RULES_VERSION } from '../../core/reduce.ts';
import { type Batch, encodeBatch } from '../../ledger/journal.ts';
import type { FollowedLog } from '../../ledger/replica.ts';
import type { TransparencyLog } from '../../ledger/transparency-log.ts';
import { eventId } from '../../protocol/envelope.ts';
import { HubError } from '../errors.ts';
import type { Written } from '../log-writer.ts';
import type { Sequencer } from '../sequencer.ts';
import { asRefused } from './ask-leader.ts';
import { type Bus, MAX_BUS_BYTES, type Subscription } from './bus.ts';
import { decodeBusMessage, encodeBusMessage, LEADERS, type Message, type Subjects, toProcess } from './subjects.ts';

/** What a process without the log's key may have signed: what it learns from its own peers and callers, never a merge or a grant. */
const FOR_FOLLOWERS: ReadonlySet<EventBody['type']> = new Set([
  'tick',
  'run.ended',
  'answers.judged',
  'answers.settled',
]);
type Placed = Message<'placed'>;

/** A batch beside a note and their names. */
const MOST_BATCH_BYTES = MAX_BUS_BYTES - 16_384;

export interface LeadingOptions {
  readonly store: Pick<FollowedLog, 'onWritten'>;
  readonly log: Pick<TransparencyLog, 'checkpoint'>;
  readonly sequencer: Pick<Sequencer, 'submit' | 'write' | 'signed' | 'indexOf' | 'settled' | 'onEvent'>;
  readonly bus: Bus;
  readonly subjects: Subjects;
  /** The name of this process. */
  readonly instance: string;
  /** As HubCore has it. */
  letName<T>(hashes: readonly string[], work: () => Promise<T>): Promise<T>;
  onError(error: unknown): void;
}

/** Starts both. The caller has made the log lead. */
export function openLeading({ store, log, sequencer, bus, subjects, instance, letName, onError }: LeadingOptions): {
  close(): void;
} {
  const placed = async (bytes: () => Promise<Uint8Array>, take: () => Promise<Written>): Promise<Placed> => {
    try {
      return { index: (await take()).index };
    } catch (error) {
      // A state whose last events are not in the log yet, and may never be, refuses nothing: what it waits for may be this event itself.
      const isRefused = error instanceof HubError && error.code === 'refused';
      if (isRefused) await sequencer.settled();
      // Whoever asks again, because an answer was lost, gets the same answer: the event is in the log once.
      const index = isRefused ? await sequencer.indexOf(eventId(await bytes())) : undefined;
      if (index !== undefined) return { index };
      const refused = asRefused(error);
      if (!refused) throw error;
      return refused;
    }
  };
  const submitted = (event: Uint8Array): Promise<Placed> => {
    const take = async (): Promise<Written> => {
      // The process that asks has verified the signature, and has seen the blobs.
      const decoded = decodeEvent(event, { verify_signature: false });
      return letName(blobsNamedBy(decoded.body), () => sequencer.submit(event, decoded));
    };
    return placed(async () => event, take);
  };
  const serve = (subject: string, answer: (bytes: Uint8Array) => Promise<Uint8Array>): Subscription[] =>
    [subject, toProcess(subject, instance)].map((one) => bus.serve(one, LEADERS, answer));
  const serving: Subscription[] = [
    ...serve(subjects.submit, async (bytes) => {
      const { event } = decodeBusMessage('submit', bytes);
      return encodeBusMessage('placed', await submitted(event));
    }),
    ...serve(subjects.submits, async (bytes) => {
      const { events } = decodeBusMessage('submits', bytes);
      // Each is taken, or refused, before the next is looked at; what is waited for together is the log.
      return encodeBusMessage('all_placed', { answers: await Promise.all(events.map(submitted)) });
    }),
    ...serve(subjects.write, async (bytes) => {
      const { body } = decodeBusMessage('write', bytes);
      const take = async (): Promise<Written> => {
        if (FOR_FOLLOWERS.has(body.type)) return letName(blobsNamedBy(body), () => sequencer.write(body));
        throw new HubError('not-yours', `${body.type} is written by the process that leads`, { type: body.type });
      };
      return encodeBusMessage('placed', await placed(() => sequencer.signed(body), take));
    }),
    ...serve(subjects.head, async (bytes) => {
      decodeBusMessage('head', bytes);
      return encodeBusMessage('headed', { note: (await log.checkpoint()).note });
    }),
  ];

  /** What is in the journal, and is not in the tree and the state yet. */
  const written: Batch[] = [];
  const publish = async (batch: Batch): Promise<void> => {
    const { note } = await log.checkpoint(); // signed once for all of the batch
    const bytes = encodeBatch(batch);
    const fits = bytes.length <= MOST_BATCH_BYTES;
    const message = { leader: instance, batch: fits ? bytes : null, note, rules: RULES_VERSION };
    bus.publish(subjects.batch, encodeBusMessage('batch', message));
  };
  store.onWritten((batch) => void written.push(batch));
  sequencer.onEvent((_, index) => {
    if (written.length === 0 || index + 1 < written[0].first + written[0].entries.length) return;
    publish(written.shift()!).catch(onError);
  });
  return {
    close() {
      for (const one of serving) one.close();
    },
  };
}
