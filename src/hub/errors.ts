// The errors of the hub: what it refuses, and what it fails at.
import { CodedError } from '../errors.ts';

export type HubErrorCode =
  /** The core refuses the event; `details.refusal` has the core's code. */
  | 'refused'
  /** An event names a blob that was not uploaded. */
  | 'missing-blob'
  /** A blob is larger or smaller than its submission says or the game allows. */
  | 'wrong-size'
  /** A submission's work does not have the form that its game demands. */
  | 'bad-work'
  /** A verdict's evidence is malformed, or belongs to something else. */
  | 'bad-evidence'
  /** An event that only the hub itself may write came from outside. */
  | 'not-yours'
  /** The hub's folder belongs to another key or cannot be used. */
  | 'bad-folder'
  /** A connection did not say hello. */
  | 'no-hello'
  /** Two devices use one key; only the one that came last takes part. */
  | 'key-in-use'
  /** A connection has more messages waiting for an answer than it may. */
  | 'too-many-messages'
  /** Too many messages of a connection could not be parsed. */
  | 'not-understood'
  /** The hub has cosignatures of as many witnesses as it stores, and all are active. */
  | 'too-many-witnesses'
  /** The address of a witness is invalid, or it does not cosign. */
  | 'bad-witness'
  /** A snapshot of the state is damaged, or does not belong to this hub, its log or its rules. */
  | 'bad-snapshot'
  /** A configured proxy is neither an address nor a network. */
  | 'bad-proxy'
  /** A hub for its own machine was addressed by another host name, or by a page of another origin. */
  | 'wrong-host'
  | 'wrong-origin'
  /** Only programs of the hub's machine may read this. */
  | 'not-public'
  /** An address or a key sends requests too fast; `details.retry_after_s` says when to try again. */
  | 'too-fast'
  /** All places for transfers are taken: try again in a moment. */
  | 'busy'
  /** A transfer is too slow to keep its place; what has come is kept, and the transfer may be resumed. */
  | 'too-slow'
  /** The client disconnected before all had come; what has come is kept. */
  | 'broke-off'
  /** More unnamed bytes than a key, an address or all strangers may have here. */
  | 'too-much'
  /** The machine's clock and the log's time differ; rounds go on. */
  | 'clock-skew'
  /** A run names another unit, or other metrics or numbers, than its game. */
  | 'other-words'
  /** A run names another number of stages than its game. */
  | 'other-stages'
  /** A run was paused because its models only get worse. */
  | 'run-halted'
  /** A letter comes from, or is for, a device that its owner does not vouch for here. */
  | 'not-bound'
  /** A letter is no newer than the one that is kept; `details.newest` has that one's number. */
  | 'old-letter'
  /** A question for letters is to another hub, or was asked at another time. */
  | 'wrong-question'
  /** A claim for an answer is by a device that this log does not know, or whose owner does not vouch for it any more. */
  | 'unknown-device'
  /** An answer names a run that is not in this log. */
  | 'unknown-run'
  /** An account cannot spend what an answer costs. */
  | 'no-credit'
  /** There is a receipt of this part of an answer already. */
  | 'paid-already'
  /** The port is taken. */
  | 'port-taken'
  /** The queue of events to be written is full. */
  | 'overloaded'
  /** The hub's disk is full; the hub goes on when there is space again. */
  | 'disk-full'
  /** The hub's log can no longer be written; the hub ends. */
  | 'log-failed'
  /** Nobody serves what was asked over the bus, or nobody answered in time. */
  | 'no-answer'
  /** A message is larger than the bus carries. */
  | 'too-large'
  /** No server of the bus can be reached, or it is not as it has to be. */
  | 'no-bus'
  /** The servers of the bus refuse the credentials, or want some. */
  | 'bus-refused'
  /** No process of this hub leads it at present. */
  | 'no-leader'
  /** No process of this hub makes merges at present, or the one that did failed. */
  | 'no-merger'
  /** This process does not have the hub's key. */
  | 'no-key'
  /** The registry shows another history than the one that it has shown before. */
  | 'other-history'
  /** The process that leads computes states by other rules. */
  | 'other-rules'
  | 'merge-failed'
  /** Two processes have made different models of one round. */
  | 'merge-differs'
  /** Another process leads by now, or nobody has confirmed for a while that this one does. */
  | 'lease-lost'
  /** The hub is going down. */
  | 'closing';

/** The details that decide what a hub answers. */
interface HubErrorDetails {
  /** Whether it is certain that nobody heard the question. */
  readonly 'no-answer': { readonly unheard: boolean };
  readonly 'old-letter': { readonly newest: number };
  readonly refused: { readonly refusal: string };
  readonly 'too-fast': { readonly retry_after_s: number };
}

export class HubError extends CodedError<HubErrorCode, HubErrorDetails> {}

/** Throws HubError `missing-blob`. */
export function missing(hash: string): never {
  throw new HubError('missing-blob', `expected blob ${hash} to be uploaded before it is named`, { hash });
}
