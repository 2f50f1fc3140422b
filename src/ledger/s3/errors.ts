// The errors of an S3 store: what its answers mean, in one line each that says what was expected and what came.
import { CodedError } from '../../errors.ts';

export type S3ErrorCode =
  /** The address is not http(s)://host[:port]/bucket[/prefix]. */
  | 's3-bad-address'
  /** There is no such bucket. */
  | 's3-no-bucket'
  /** The access key is unknown, or its secret is another. */
  | 's3-wrong-key'
  /** The key may not do this in this bucket. */
  | 's3-not-allowed'
  /** This machine's clock and the store's differ by more than the store takes. */
  | 's3-clock-skew'
  /** Nothing answers at the address, or too slowly; whether a request took effect is not known. */
  | 's3-unreachable'
  /** The store asks to slow down, or fails for a moment; whether a request took effect is not known. */
  | 's3-busy'
  /** The store does not do what a hub needs: conditional writes. */
  | 's3-unfit'
  /** Any other refusal. */
  | 's3-refused';

/** Only after `s3-unreachable` and `s3-busy` does a retry make sense. */
export class S3Error extends CodedError<S3ErrorCode> {}

/** Whether a request that failed so may succeed a moment later. */
export const mayPass = (error: unknown): boolean =>
  error instanceof S3Error && (error.code === 's3-unreachable' || error.code === 's3-busy');

/** The code of an S3 error document; empty where there is none, as in answers to HEAD. */
export const codeIn = (text: string): string => /<Code>(\w{1,80})<\/Code>/.exec(text)?.[1] ?? '';

/** What a store has refused. */
export interface Refused {
  /** The address of the bucket. */
  readonly where: string;
  readonly asked: string;
  readonly status: number;
  /** The S3 code; empty where unknown. */
  readonly code: string;
  /** The store's clock less this machine's; null where it says none. */
  readonly ahead_ms: number | null;
}

/** The error for an answer that is not a success. */
export function errorOfAnswer({ where, asked, status, code, ahead_ms }: Refused): S3Error {
  const came = `got ${status}${code && ` ${code}`} to ${asked}`;
  const details = { status, code };
  if (code === 'NoSuchBucket')
    return new S3Error('s3-no-bucket', `${where}: expected a bucket there, ${came}`, details);
  if (code === 'InvalidAccessKeyId') {
    return new S3Error('s3-wrong-key', `${where}: expected an access key that the store knows, ${came}`, details);
  }
  if (code === 'SignatureDoesNotMatch') {
    const message = `${where}: expected the secret key that belongs to this access key, ${came}`;
    return new S3Error('s3-wrong-key', message, details);
  }
  if (code === 'RequestTimeTooSkewed' || code === 'RequestExpired') {
    const message = `${where}: expected this machine's clock to be right within 15 minutes of the store's, which is ${aheadText(ahead_ms)}, ${came}`;
    return new S3Error('s3-clock-skew', message, { ...details, ahead_ms });
  }
  if (status === 503 || status === 500 || status === 429 || status === 502 || status === 504) {
    return new S3Error('s3-busy', `${where}: ${came}`, details);
  }
  if (status === 403) {
    return new S3Error('s3-not-allowed', `${where}: expected to be allowed to read and write there, ${came}`, details);
  }
  return new S3Error('s3-refused', `${where}: ${came}`, details);
}

/** The error for a request without an answer. */
export const unreachable = (where: string, asked: string, reason: string): S3Error =>
  new S3Error('s3-unreachable', `${where}: expected an answer to ${asked}, got none: ${reason}`, { reason });

export const aheadText = (ahead_ms: number | null): string =>
  ahead_ms === null ? 'unknown' : `${Math.abs(Math.round(ahead_ms / 1000))} s ${ahead_ms < 0 ? 'behind' : 'ahead'}`;
