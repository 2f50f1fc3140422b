// Merges that another process makes than the one that leads: it asks, a process with the role makes the merge once, and answers when it is done.
//
// A merge follows from the log and its blobs, so two processes that make the same one do no harm: the leader writes the first that it hears of. Where
// the log then has another than a process has made, one of the two has a bad disk or a bad memory, and only an audit can say which.
import { isDeepStrictEqual } from 'node:util';
import type { RoundMerged } from '../../core/events/round-merged.ts';
import type { NetworkState, RunState } from '../../core/state.ts';
import { type Clock, sleep } from '../../protocol/clock.ts';
import { HubError } from '../errors.ts';
import type { Models } from '../models.ts';
import type { Sequencer } from '../sequencer.ts';
import { asRefused } from './ask-leader.ts';
import type { Bus, Subscription } from './bus.ts';
import { decodeBusMessage, encodeBusMessage, MERGERS, type Subjects } from './subjects.ts';

/** A process that is still at work says so after this long, and is asked again. */
const STILL_MS = 2000;
const ANSWER_MS = 3 * STILL_MS;
/** How long nobody may answer before the merge counts as failed; it is then tried again (failed-merges.ts). */
const NOBODY_MS = 30_000;

type Job = { readonly run: string; readonly round: number; readonly attempt: number };
const keyOf = ({ run, round, attempt }: Job): string => `${run} ${round} ${attempt}`;

/**
 * Serves merges of a follower's own state, until the log has another one than this process has made.
 * @param options.instance the name under which this process is asked again
 * @param options.onError gets HubError `merge-differs`, once; nothing is served any more then
 */
export function serveMerges(options: {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly instance: string;
  readonly sequencer: Pick<Sequencer, 'state' | 'reached' | 'onEvent'>;
  readonly models: Pick<Models, 'merge'>;
  readonly clock: Clock;
  onError(error: HubError): void;
}): Subscription {
  const { bus, subjects, instance, sequencer, models, clock, onError } = options;
  /** Under way, or done lately: a leader that did not hear the answer asks again. */
  const jobs = new Map<string, Promise<Uint8Array>>();

  const make = async (job: Job, size: number): Promise<Uint8Array> => {
    try {
      await sequencer.reached(size);
      const run = sequencer.state.runs.get(job.run);
      if (run?.round !== job.round || run.attempt !== job.attempt || run.phase !== 'merging') {
        throw new HubError('refused', 'the round is not to be merged any more', { refusal: 'not-merging' });
      }
      return encodeBusMessage('merged', { body: await models.merge(sequencer.state, run) });
    } catch (error) {
      jobs.delete(keyOf(job));
      const refused = asRefused(error);
      if (refused) return encodeBusMessage('merged', refused);
      throw error;
    }
  };
  const answer = (bytes: Uint8Array): Promise<Uint8Array> => {
    const { size, ...job } = decodeBusMessage('merge', bytes);
    const key = keyOf(job);
    for (const other of jobs.keys()) if (other.startsWith(job.run) && other !== key) jobs.delete(other);
    const under_way = jobs.get(key) ?? make(job, size);
    jobs.set(key, under_way);
    return Promise.race([
      under_way,
      sleep(clock, STILL_MS).then(() => encodeBusMessage('merged', { working: instance })),
    ]);
  };
  const served = [
    bus.serve(subjects.merge, MERGERS, async (bytes) => answer(bytes)),
    bus.serve(`${subjects.merge}.${instance}`, MERGERS, async (bytes) => answer(bytes)),
  ];
  const close = (): void => {
    for (const one of served.splice(0)) one.close();
  };
  const compare = async (body: RoundMerged): Promise<void> => {
    const job = jobs.get(keyOf(body));
    const own = job && decodeBusMessage('merged', await job);
    if (!own || !('body' in own) || isDeepStrictEqual(own.body, body) || served.length === 0) return;
    close();
    const made = own.body.type === 'round.merged' ? own.body.model : own.body.type;
    const message = `round ${body.round} of run ${body.run}: this process made the model ${made}, another one ${body.model}, which is in the log; one of the two has a bad disk or a bad memory, and potluck audit says which; this one merges no more`;
    onError(new HubError('merge-differs', message, { run: body.run, round: body.round }));
  };
  sequencer.onEvent(({ body }) => {
    if (body.type === 'round.merged') compare(body).catch(() => {}); // a merge that failed is compared with nothing
  });
  return { close };
}

/** Has merges made by whoever serves them. Throws HubError `no-merger`, and what the merge itself throws. */
export function askMergers(
  bus: Bus,
  subjects: Subjects,
  size: () => number,
  clock: Clock,
): (network: NetworkState, run: RunState) => Promise<RoundMerged> {
  return async (_, { id: run, round, attempt }) => {
    const question = encodeBusMessage('merge', { run, round, attempt, size: size() });
    let heard_ms = clock.elapsed_ms();
    let subject = subjects.merge;
    for (;;) {
      try {
        const answer = decodeBusMessage('merged', await bus.request(subject, question, ANSWER_MS));
        heard_ms = clock.elapsed_ms();
        if ('body' in answer && answer.body.type === 'round.merged') return answer.body;
        if ('refused' in answer)
          throw new HubError('merge-failed', `${answer.refused.code}: ${answer.refused.message}`);
        // Who is at work is asked again, not another one.
        if ('working' in answer) subject = `${subjects.merge}.${answer.working}`;
      } catch (error) {
        if (!(error instanceof HubError && error.code === 'no-answer')) throw error;
        subject = subjects.merge;
        if (clock.elapsed_ms() - heard_ms > NOBODY_MS) {
          throw new HubError('no-merger', `no process of this hub has merged round ${round} for ${NOBODY_MS / 1000} s`);
        }
        await sleep(clock, 200);
      }
    }
  };
}
