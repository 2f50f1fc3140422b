// The errors of serving: engines, requests, answers.
import { CodedError } from '../errors.ts';

export type ServingErrorCode =
  /** A request, token, position or option outside its range. */
  | 'bad-input'
  /** Something that a request asks for and this server does not do: refused, never ignored. */
  | 'unsupported'
  | 'unknown-model'
  /** The engine's file is malformed or lies about its sizes. */
  | 'corrupt-file'
  /** More than the limits that protect a device allow. */
  | 'too-large'
  /** The caller's account has not as much credit as the answer may cost. */
  | 'no-credit'
  /** No place for another sequence now; whoever asked may try again. */
  | 'no-room'
  /** The package of an engine is not installed; the message names the command that installs it. */
  | 'no-engine'
  /** The process of an engine ended by itself. */
  | 'engine-ended'
  /** An answer that had begun cannot be ended: the hub goes down, or no device is left that could. What has come of it is right. */
  | 'interrupted'
  /** What a grammar was to make cannot be made or did not come out as asked. */
  | 'bad-grammar';

/** The error of `serving/`. */
export class ServingError extends CodedError<ServingErrorCode> {}

/** What a server says that is asked for a model of somebody else's. */
export const unknownModel = (name: string): ServingError =>
  new ServingError('unknown-model', `no model ${name} is served here`);
