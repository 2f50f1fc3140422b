// One answer of the pool: acts on plan.ts with the leases of the devices that write it.
import { assert } from '../../errors.ts';
import type { Clock, Timer } from '../../protocol/clock.ts';
import type { AnswerRequest } from '../../serving/answers.ts';
import { ServingError, type ServingErrorCode } from '../../serving/errors.ts';
import type { JudgeTask } from '../../serving/judge-task.ts';
import type { AnswerStream, Cursor } from './answer-stream.ts';
import type { PoolDevice } from './devices.ts';
import {
  type Action,
  type AnswerKnown,
  type LeaseKnown,
  type LeaseReason,
  planAnswer,
  type Refusal,
  wantsDevice,
} from './plan.ts';

/** A device's leave to write an answer. */
export interface Lease extends LeaseKnown {
  readonly device: PoolDevice;
  readonly answer: Answer;
  readonly cursor: Cursor;
  /** Tokens that the device had to read before it could write. */
  readonly read_tokens: number;
  /** How many tokens of the answer others had written. */
  readonly from: number;
  /** The logprobs of its tokens, where they were asked for. */
  readonly logprobs: number[];
  /** How it ended the answer; null: it has not. */
  ending: { readonly reason: 'stop' | 'length' | 'tool_calls'; readonly end_id: number | null } | null;
  taken_ms: number | null;
  first_ms: number | null;
  last_ms: number | null;
  tokens: number;
}

/** How a lease ends: `well`: it ended the answer; `ill`: it counts against the device; `neither`: the device could not help it. */
export type LeaseEnd = 'well' | 'ill' | 'neither';

/** What the plan knows of the pool; each part is looked for when it is read. */
export type PoolKnown = Pick<AnswerKnown, 'candidates' | 'offered' | 'idle' | 'retry_after_ms'>;

/** What an answer needs of the pool. */
export interface AnswerServices {
  readonly clock: Clock;
  /** Devices with room, best first, and the rest of what the plan has to know of the pool: a new object, to which the plan's other facts are added. */
  look(answer: Answer): PoolKnown;
  lease(answer: Answer, device: string, why: LeaseReason): Lease;
  /** @param why what the device is told; null: it knows, or is gone */
  end(lease: Lease, how: LeaseEnd, why: string | null): void;
  /** Whether another device could help this answer now: nobody writes it, or not yet, or late. */
  wants(answer: Answer, wants: boolean): void;
}

/** Codes with which a device says that it is not the device but the request. */
export const OF_THE_REQUEST: readonly string[] = [
  'bad-input',
  'unsupported',
  'too-large',
  'bad-grammar',
] satisfies ServingErrorCode[];
/** Codes that do not count against a device: its owner comes first, and how full it is it knows best. */
export const NOBODYS_FAULT: readonly string[] = ['leaving', 'no-room'];

const STEPS = 64; // between two waits: more would be a plan that goes round in circles

export class Answer {
  readonly stream: AnswerStream;
  readonly leases: Lease[] = [];
  /** Devices, by connection, that may not have it again, and those that were late with it. */
  readonly avoided = new Set<string>();
  readonly late = new Set<string>();
  /** The class of the device that wrote the last token. */
  class: string | null = null;
  /** When the last token came; null: none has. */
  written_ms: number | null = null;
  readonly #services: AnswerServices;
  #hedged = false;
  #fruitless = 0;
  readonly #refusals: Refusal[] = [];
  #without_since_ms: number;
  #timer: Timer;

  constructor(stream: AnswerStream, services: AnswerServices) {
    this.stream = stream;
    this.#services = services;
    this.#without_since_ms = services.clock.elapsed_ms();
  }

  get request(): AnswerRequest {
    return this.stream.request;
  }

  /** Does what is to be done, until something happens. */
  drive(): void {
    const { clock } = this.#services;
    clock.clearTimeout(this.#timer);
    for (let step = 0; !this.stream.over; step++) {
      assert(step < STEPS, 'a plan comes to wait');
      const known = this.#known();
      const action = planAnswer(known);
      if (action.do !== 'wait') {
        this.#act(action);
        continue;
      }
      this.#services.wants(this, wantsDevice(known));
      if (action.until_ms !== null) {
        this.#timer = clock.setTimeout(() => this.drive(), Math.max(1, action.until_ms - known.now_ms));
      }
      return;
    }
    this.close('not-needed');
  }

  /** A device has given a lease back, or is gone. */
  failed(lease: Lease, refusal: Refusal, told: boolean): void {
    const { device, tokens } = lease;
    const { number } = device.connection;
    if (told) this.avoided.add(number);
    const isOfRequest = OF_THE_REQUEST.includes(refusal.code);
    if (isOfRequest) this.#refusals.push(refusal);
    if (tokens === 0 && !NOBODYS_FAULT.includes(refusal.code)) this.#fruitless++;
    const isNobodys = isOfRequest || NOBODYS_FAULT.includes(refusal.code);
    this.#end(lease, isNobodys ? 'neither' : 'ill', null);
    this.drive();
  }

  /** A device has not kept to the form of answers, has another count of the prompt, or judges say that it does not write what the model does. */
  broken(lease: Lease, why: 'malformed' | 'refused' | 'other-count'): void {
    this.avoided.add(lease.device.connection.number);
    if (lease.tokens === 0) this.#fruitless++;
    this.#end(lease, why === 'other-count' ? 'neither' : 'ill', why);
    this.drive();
  }

  /** A device has written the end. */
  finished(lease: Lease): void {
    this.#end(lease, 'well', null);
    this.close('not-needed');
  }

  /** Nobody wants it any more. */
  close(why: string): void {
    this.#services.clock.clearTimeout(this.#timer);
    this.#services.wants(this, false);
    for (const lease of [...this.leases]) this.#end(lease, 'neither', why);
  }

  #known(): AnswerKnown {
    const { stream } = this;
    return Object.assign(this.#services.look(this), {
      now_ms: this.#services.clock.elapsed_ms(),
      begun: stream.begun,
      in_mid_answer: this.written_ms !== null,
      caller_full: stream.full,
      leases: this.leases,
      hedged: this.#hedged,
      fruitless: this.#fruitless,
      refusals: this.#refusals,
      without_since_ms: this.#without_since_ms,
    });
  }

  #act(action: Exclude<Action, { readonly do: 'wait' }>): void {
    switch (action.do) {
      case 'lease':
        this.#hedged = action.why === 'hedge';
        this.leases.push(this.#services.lease(this, action.device, action.why));
        return;
      case 'drop': {
        const lease = this.leases.find(({ id }) => id === action.lease)!;
        if (action.why === 'late') {
          this.late.add(lease.device.connection.number);
          lease.device.silent = true;
          if (lease.tokens === 0) this.#fruitless++;
        }
        this.#end(lease, action.why === 'late' ? 'ill' : 'neither', action.why);
        return;
      }
      default:
        this.stream.fail(errorOf(action, this.request.model));
    }
  }

  #end(lease: Lease, how: LeaseEnd, why: string | null): void {
    const at = this.leases.indexOf(lease);
    assert(at >= 0, 'a lease ends once');
    this.leases.splice(at, 1);
    if (this.leases.length === 0) this.#without_since_ms = this.#services.clock.elapsed_ms();
    this.#services.end(lease, how, why);
  }
}

/** What a judge of a lease's tokens is asked; null: it has drawn none. */
export function judgeTaskOf({ answer, cursor, from, logprobs, ending }: Lease): JudgeTask | null {
  const { request, written } = answer.stream;
  const to = from + cursor.written;
  const end_id = ending?.end_id ?? null;
  const ids = [...written.slice(from, to), ...(end_id === null ? [] : [end_id])];
  if (ids.length === 0 && (ending === null || to >= request.max_tokens)) return null;
  const reason = ending === null ? 'cut' : ending.reason === 'length' ? 'length' : 'stop';
  // An end by length may be that of a device's own context, which the hub has checked.
  const max_tokens = reason === 'length' ? to : request.max_tokens;
  const told = request.top_logprobs === null ? {} : { logprobs };
  return {
    request: { ...request, written: written.slice(0, from), max_tokens, echo: false },
    served: { ids, reason, ...told },
  };
}

/** What a caller is told of an answer that ends so. */
function errorOf(
  action: Extract<Action, { readonly do: 'refuse' | 'pass-on' | 'give-up' }>,
  model: string,
): ServingError {
  if (action.do === 'pass-on') return new ServingError(action.refusal.code as ServingErrorCode, action.refusal.message);
  if (action.do === 'give-up') {
    const words = {
      'ends-engines': 'device after device has failed at this request before its first token',
      'nobody-left': 'the devices that wrote this answer are gone, and no other one has come',
    };
    return new ServingError('interrupted', words[action.why]);
  }
  const { code, retry_after_ms } = action;
  const words =
    code === 'no-room'
      ? `every device that serves ${model} is full: try again in ${Math.ceil(retry_after_ms / 1000)} s`
      : `no device that may serve this caller offers ${model} now`;
  return new ServingError(code, words, { retry_after_ms });
}
