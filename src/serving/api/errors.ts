// The errors of the API: each code with its HTTP status and the words that OpenAI's clients know it by.
import { CodedError } from '../../errors.ts';
import { ServingError, type ServingErrorCode } from '../errors.ts';

interface Known {
  readonly status: 400 | 401 | 402 | 403 | 404 | 405 | 413 | 415 | 422 | 429 | 500 | 503;
  readonly type: string;
  /** The code on the wire. */
  readonly code: string;
  /** Whether the same request may go through later; clients repeat it then. */
  readonly again: boolean;
}

const known = (status: Known['status'], type: string, code: string, again = false): Known => ({
  ...{ status, type, code, again },
});
const INVALID = 'invalid_request_error';

const CODES = {
  'bad-request': known(400, INVALID, 'invalid_value'),
  'not-json': known(400, INVALID, 'invalid_json'),
  /** What this server, or this model, does not do: refused, never ignored. */
  unsupported: known(400, INVALID, 'unsupported_parameter'),
  /** More than the model's context holds. */
  'too-long': known(400, INVALID, 'context_length_exceeded'),
  'no-key': known(401, 'authentication_error', 'invalid_api_key'),
  /** OpenAI's word for an account that is used up: no client asks again by itself. */
  'no-credit': known(402, 'insufficient_quota', 'insufficient_quota'),
  forbidden: known(403, 'permission_error', 'forbidden'),
  'unknown-model': known(404, INVALID, 'model_not_found'),
  'no-such-path': known(404, INVALID, 'unknown_url'),
  'wrong-method': known(405, INVALID, 'method_not_allowed'),
  'too-large': known(413, INVALID, 'request_too_large'),
  'encoded-body': known(415, INVALID, 'unsupported_media_type'),
  /** A grammar that came to no end. */
  'bad-grammar': known(422, INVALID, 'output_does_not_fit'),
  'too-fast': known(429, 'rate_limit_error', 'rate_limit_exceeded', true),
  /** One request that asks for more than a minute's tokens. */
  'beyond-quota': known(429, 'rate_limit_error', 'request_beyond_quota'),
  'no-room': known(429, 'rate_limit_error', 'server_busy', true),
  defect: known(500, 'server_error', 'internal_error'),
  'engine-ended': known(503, 'server_error', 'engine_ended', true),
  'no-engine': known(503, 'server_error', 'no_engine'),
} satisfies Record<string, Known>;
export type ApiErrorCode = keyof typeof CODES;

/** `param`: the field of the request that is meant; `retry_after_ms`: when to ask again. */
export interface ApiErrorDetails {
  readonly param?: string;
  readonly retry_after_ms?: number;
}

/** What a request is refused with, or fails with. */
export class ApiError extends CodedError<ApiErrorCode> {
  get known(): Known {
    return CODES[this.code];
  }
}

/** The words of one error, as OpenAI writes them: the body of an answer, or an event in a stream. */
export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
  };
}

const OF_SERVING: Readonly<Record<ServingErrorCode, ApiErrorCode>> = {
  'bad-input': 'bad-request',
  unsupported: 'unsupported',
  'unknown-model': 'unknown-model',
  'corrupt-file': 'defect',
  'too-large': 'too-long',
  'no-credit': 'no-credit',
  'no-room': 'no-room',
  'no-engine': 'no-engine',
  'engine-ended': 'engine-ended',
  interrupted: 'engine-ended',
  'bad-grammar': 'bad-grammar',
};

/** What busy servers ask a client to wait where nobody knows better. */
const BUSY_MS = 1000;

/** Any error as the API's own. What was thrown by mistake is a defect, and its words stay here. */
export function apiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (!(error instanceof ServingError)) return new ApiError('defect', 'this server failed at the request');
  const code = OF_SERVING[error.code];
  const { retry_after_ms, param } = error.details as ApiErrorDetails;
  const wait_ms = retry_after_ms ?? (CODES[code].again ? BUSY_MS : undefined);
  return new ApiError(code, error.message, {
    ...(param !== undefined && { param }),
    ...(wait_ms !== undefined && { retry_after_ms: wait_ms }),
  });
}

export function bodyOf(error: ApiError): ErrorBody {
  const { type, code } = error.known;
  return { error: { message: error.message, type, param: (error.details as ApiErrorDetails).param ?? null, code } };
}

/** Tells a client whether and when to ask again. */
export function headersOf(error: ApiError): Record<string, string> {
  const { retry_after_ms } = error.details as ApiErrorDetails;
  return {
    'x-should-retry': String(error.known.again),
    ...(retry_after_ms !== undefined && {
      'retry-after-ms': String(Math.ceil(retry_after_ms)),
      'retry-after': String(Math.ceil(retry_after_ms / 1000)),
    }),
  };
}
