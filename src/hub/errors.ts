// What a hub refuses or fails at.
import { CodedError } from '../errors.ts';

export type HubErrorCode =
  /** The core does not let the event follow; `details.refusal` has the core's code. */
  | 'refused'
  /** An event names a blob that was not uploaded. */
  | 'missing-blob'
  /** A blob is larger or smaller than its submission says or the game allows. */
  | 'wrong-size'
  /** A submission's work does not have the form that its game demands. */
  | 'bad-work'
  /** A verdict's evidence is none, or of something else. */
  | 'bad-evidence'
  /** An event that only the hub itself may write came from outside. */
  | 'not-yours'
  /** The hub's folder belongs to another key or cannot be used. */
  | 'bad-folder'
  /** A connection did not say who it is. */
  | 'no-hello'
  /** Two devices use one key: only the one that came last takes part. */
  | 'key-in-use'
  /** A connection has more messages waiting for an answer than it may. */
  | 'too-many-messages'
  /** Too much of what came over a connection could not be read. */
  | 'not-understood'
  /** As many witnesses as are remembered are at work already. */
  | 'too-many-witnesses'
  /** A witness's address is none, or it does not cosign. */
  | 'bad-witness'
  /** A snapshot of the state is damaged, or does not belong to this hub, its log or its rules. */
  | 'bad-snapshot'
  /** What is named as a proxy is neither an address nor a network. */
  | 'bad-proxy'
  /** A hub for its own machine was asked under another name than this machine's, or by a page of somebody else. */
  | 'wrong-host'
  | 'wrong-origin'
  /** Only programs of the hub's machine may read this. */
  | 'not-public'
  /** An address or a key asks faster than it may; `details.retry_after_s` says when to try again. */
  | 'too-fast'
  /** As many transfers as there is room for are under way: try again in a moment. */
  | 'busy'
  /** A transfer moves too slowly to keep its place; what has come is kept, and it may go on. */
  | 'too-slow'
  /** Whoever sent something was gone before all of it had come; what has come is kept. */
  | 'broke-off'
  /** More bytes that no event names than a key, an address or all strangers may have here. */
  | 'too-much'
  /** The machine's clock and the log's time differ; rounds go on. */
  | 'clock-skew'
  /** A run names another unit or other metrics than its game. */
  | 'other-words'
  /** A run was paused because its models only get worse. */
  | 'run-halted'
  /** The port is taken. */
  | 'port-taken'
  /** More events wait to be written than may. */
  | 'overloaded'
  /** The hub's disk has no room; it goes on when there is some again. */
  | 'disk-full'
  /** The hub's log can no longer be written; the hub ends. */
  | 'log-failed'
  /** The hub is going down. */
  | 'closing';

/** Details that decide what a hub answers. */
interface HubErrorDetails {
  readonly refused: { readonly refusal: string };
  readonly 'too-fast': { readonly retry_after_s: number };
}

export class HubError extends CodedError<HubErrorCode, HubErrorDetails> {}
