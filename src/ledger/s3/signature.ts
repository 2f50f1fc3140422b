// AWS Signature Version 4 for S3: header signatures and presigned URLs, by node:crypto (docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html).
import { createHmac, hash } from 'node:crypto';

export interface S3Credentials {
  readonly access_key_id: string;
  readonly secret_access_key: string;
  readonly region: string;
  /** Of temporary credentials. */
  readonly session_token?: string;
}

/** What is signed. */
export interface SignedRequest {
  readonly method: string;
  /** As the Host header has it. */
  readonly host: string;
  /** Percent-encoded, from the first slash on. */
  readonly path: string;
  /** Not encoded; it is signed in the order of its names. */
  readonly query: Readonly<Record<string, string>>;
  /** Lower-case names, without `host`. All of them are signed, so the request must carry exactly these values. */
  readonly headers: Readonly<Record<string, string>>;
  readonly time_ms: number;
}

export const ALGORITHM = 'AWS4-HMAC-SHA256';
/** In place of a payload's hash, in presigned URLs that promise nothing about it. */
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';
/** The hash of no bytes, for requests without a body. */
export const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

export interface Signer {
  /** The headers of a signed request, and its query; `payload_hash` is the body's SHA-256 in hexadecimal. */
  sign(request: SignedRequest, payload_hash: string): { headers: Record<string, string>; query: string };
  /**
   * The path and query of a URL with which whoever has it may make this request, until it expires. A header `x-amz-content-sha256`, which the
   * store holds against the bytes that come, is signed as any other.
   */
  presign(request: SignedRequest, expires_s: number): string;
}

const hmac = (key: string | Uint8Array, text: string): Buffer => createHmac('sha256', key).update(text).digest();
const sha256Hex = (text: string): string => hash('sha256', text, 'hex');

/** RFC 3986: everything but letters, digits and -._~ is encoded. */
export const uriEncode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);

/** 20130524T000000Z */
export const amzDate = (time_ms: number): string => new Date(time_ms).toISOString().replace(/[-:]|\.\d{3}/g, '');

export function openSigner(credentials: S3Credentials): Signer {
  const { access_key_id, secret_access_key, region, session_token } = credentials;
  /** Four HMACs a day, not a request. */
  let today: { readonly day: string; readonly key: Buffer } = { day: '', key: Buffer.alloc(0) };
  const keyOf = (day: string): Buffer => {
    if (today.day !== day) {
      const dayKey = hmac(`AWS4${secret_access_key}`, day);
      today = { day, key: hmac(hmac(hmac(dayKey, region), 's3'), 'aws4_request') };
    }
    return today.key;
  };

  /** @param query encoded, in the order of its names */
  const signatureOf = (request: SignedRequest, date: string, query: string, names: string[], payload_hash: string) => {
    const { method, path, host, headers } = request;
    const lines = names.map((name) => `${name}:${name === 'host' ? host : headers[name].trim()}\n`).join('');
    const canonical = `${method}\n${path}\n${query}\n${lines}\n${names.join(';')}\n${payload_hash}`;
    const day = date.slice(0, 8);
    const scope = `${day}/${region}/s3/aws4_request`;
    const text = `${ALGORITHM}\n${date}\n${scope}\n${sha256Hex(canonical)}`;
    return { scope, signature: createHmac('sha256', keyOf(day)).update(text).digest('hex') };
  };

  return {
    sign(request, payload_hash) {
      const date = amzDate(request.time_ms);
      const headers: Record<string, string> = {
        ...request.headers,
        'x-amz-content-sha256': payload_hash,
        'x-amz-date': date,
        ...(session_token && { 'x-amz-security-token': session_token }),
      };
      const names = ['host', ...Object.keys(headers)].sort();
      const query = queryOf(request.query);
      const { scope, signature } = signatureOf({ ...request, headers }, date, query, names, payload_hash);
      headers.authorization = `${ALGORITHM} Credential=${access_key_id}/${scope},SignedHeaders=${names.join(';')},Signature=${signature}`;
      return { headers, query };
    },
    presign(request, expires_s) {
      const date = amzDate(request.time_ms);
      const names = ['host', ...Object.keys(request.headers)].sort();
      const query = queryOf({
        ...request.query,
        'X-Amz-Algorithm': ALGORITHM,
        'X-Amz-Credential': `${access_key_id}/${date.slice(0, 8)}/${region}/s3/aws4_request`,
        'X-Amz-Date': date,
        'X-Amz-Expires': String(expires_s),
        ...(session_token && { 'X-Amz-Security-Token': session_token }),
        'X-Amz-SignedHeaders': names.join(';'),
      });
      const payload_hash = request.headers['x-amz-content-sha256'] ?? UNSIGNED_PAYLOAD;
      const { signature } = signatureOf(request, date, query, names, payload_hash);
      return `${request.path}?${query}&X-Amz-Signature=${signature}`;
    },
  };
}

function queryOf(query: Readonly<Record<string, string>>): string {
  return Object.keys(query)
    .sort()
    .map((name) => `${uriEncode(name)}=${uriEncode(query[name])}`)
    .join('&');
}
