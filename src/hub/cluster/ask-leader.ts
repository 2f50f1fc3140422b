// A follower's questions to whoever leads. They are asked again until there is an answer: a leader may have died with the question.
import type { EventBody } from '../../core/events.ts';
import { CodedError } from '../../errors.ts';
import { type Clock, sleep } from '../../protocol/clock.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import { HubError } from '../errors.ts';
import type { Leader } from '../sequencer.ts';
import { openTogether } from './ask-together.ts';
import type { Bus } from './bus.ts';
import { decodeBusMessage, encodeBusMessage, type Message, type Subjects, TOGETHER, toProcess } from './subjects.ts';

/** How long one question waits: a journal that answers slowly takes seconds. */
const ANSWER_MS = 6000;
/** How long a question is asked again: longer than another process needs to take over. */
const WAIT_MS = 20_000;
/** Between attempts, unless a process is heard to lead: many may wait, and none of them is to keep the bus busy. */
const AGAIN_MS = [100, 200, 400, 800];

export interface AskedLeader extends Omit<Leader, 'catchUp'> {
  /** This process ends: from now on every question is asked once. */
  hurry(): void;
  /**
   * This process is the one that writes. Whoever waits for an answer of another one asks it instead: that one has died, or stands still, or will
   * find out that it does not lead any more.
   */
  heard(instance: string): void;
  /** A signed head of at least so many entries. Throws HubError `no-leader`. */
  head(least_size: number): Promise<string>;
}

export function askLeader(bus: Bus, subjects: Subjects, clock: Clock): AskedLeader {
  let hurried = false;
  let leader: string | null = null;
  const waiting = openWaiting();
  /** @param served whether a leader serves this subject for sure; otherwise, where nobody does, null */
  const ask = async (subject: string, question: Uint8Array, served = true): Promise<Uint8Array | null> => {
    const until_ms = clock.elapsed_ms() + WAIT_MS;
    for (let tries = 0; ; tries++) {
      const asked = leader;
      try {
        const to = asked === null ? subject : toProcess(subject, asked);
        // Who leads and is not known is asked by its role; then its own first word is no reason to ask it again.
        const request = bus.request(to, question, ANSWER_MS);
        const answer = asked === null ? await request : await waiting.unlessOther(asked, request);
        if (answer !== null) return answer;
        continue;
      } catch (error) {
        if (!(error instanceof HubError && error.code === 'no-answer')) throw error;
        if (!served && error.details.unheard === true) return null;
      }
      if (leader === asked) leader = null;
      if (hurried || clock.elapsed_ms() > until_ms) {
        const message = `no process of this hub leads it, also after ${WAIT_MS / 1000} s; send it again later`;
        throw new HubError('no-leader', message);
      }
      await waiting.unlessOther(null, sleep(clock, AGAIN_MS[Math.min(tries, AGAIN_MS.length - 1)]));
    }
  };
  const placed = async (subject: string, question: Uint8Array): Promise<number> =>
    indexIn(decodeBusMessage('placed', (await ask(subject, question))!));
  const submitOne = (event: Uint8Array): Promise<number> =>
    placed(subjects.submit, encodeBusMessage('submit', { event }));
  const together = openTogether(clock, async (events) => {
    const answer = await ask(subjects.submits, encodeBusMessage('submits', { events }), false);
    // Nobody leads, or whoever does knows questions with one event only.
    if (!answer) return events.map(submitOne);
    const { answers } = decodeBusMessage('all_placed', answer);
    if (answers.length !== events.length)
      throw new ProtocolError('malformed', `message: expected ${events.length} answers, got ${answers.length}`);
    return answers.map(async (one) => indexIn(one));
  });
  const head = async (least_size: number): Promise<string> => {
    const answer = decodeBusMessage('headed', (await ask(subjects.head, encodeBusMessage('head', { least_size })))!);
    if ('refused' in answer) throw asThrown(answer.refused);
    return answer.note;
  };
  return {
    hurry() {
      hurried = true;
    },
    heard(instance) {
      if (instance === leader) return;
      leader = instance;
      waiting.wake(instance);
    },
    submit: together,
    write: (body: EventBody) => placed(subjects.write, encodeBusMessage('write', { body })),
    head,
    size: async () => Number((await head(0)).split('\n', 2)[1]),
  };
}

/** Steps that end early when another process is heard to lead. */
function openWaiting() {
  const waits = new Set<(instance: string) => void>();
  return {
    wake(instance: string): void {
      for (const wake of [...waits]) wake(instance);
    },
    /** @returns what the step does, or null as soon as another process than this one is heard to lead */
    unlessOther: <T>(asked: string | null, step: Promise<T>): Promise<T | null> =>
      new Promise((resolve, reject) => {
        const wake = (instance: string): void => {
          if (instance !== asked) resolve(null);
        };
        waits.add(wake);
        void step.then(resolve, reject).finally(() => waits.delete(wake));
      }),
  };
}

/** Throws what the leader refused it with. */
function indexIn(answer: Message<'placed'>): number {
  if ('refused' in answer) throw asThrown(answer.refused);
  return answer.index;
}

interface Refused {
  readonly code: string;
  readonly message: string;
  readonly refusal?: string | undefined;
}

/** The leader's refusal as the error that it threw. */
function asThrown({ code, message, refusal }: Refused): CodedError {
  if (code === 'refused') return new HubError('refused', message, { refusal: refusal ?? code });
  return new HubError(code as 'overloaded', message); // the compiler wants one of many codes that need no details
}

/** An error with a code, for whoever asked; null for one that says nothing about the question: then another process may know better. */
export function asRefused(error: unknown): { readonly refused: Refused } | null {
  if (!(error instanceof CodedError)) return null;
  if (!(error instanceof HubError || error instanceof ProtocolError)) return null;
  if (error.code === 'log-failed' || error.code === 'closing') return null;
  const { refusal } = error.details;
  const more = typeof refusal === 'string' ? { refusal } : {};
  return { refused: { code: error.code, message: error.message.slice(0, TOGETHER.message_characters), ...more } };
}
