// A client of an S3 store: objects in one bucket, by HTTP requests (transport.ts) that are signed by signature.ts.
import { sha256Hex } from '../../protocol/hash.ts';
import { codeIn, errorOfAnswer, mayPass, S3Error, unreachable } from './errors.ts';
import { listAll, type ObjectInfo, PAGE } from './listing.ts';
import { EMPTY_SHA256, openSigner, type S3Credentials, uriEncode } from './signature.ts';
import { type HttpAnswer, openHttp } from './transport.ts';

export interface S3Options extends Omit<S3Credentials, 'region'> {
  /** http(s)://host[:port]/bucket[/prefix] */
  readonly url: string;
  /** `us-east-1` by default, which stores that have no regions take. */
  readonly region?: string;
  readonly now_ms?: () => number;
  readonly wait?: (ms: number) => Promise<void>;
  /** How long a request may be silent. */
  readonly silence_ms?: number;
}

/** A presigned upload: a PUT to `url` with exactly these headers and a body of the promised length. */
export interface PresignedPut {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Objects under keys below the address' prefix. Every call throws S3Error; what may pass in a moment is tried again for about six seconds, except
 * by `create`, because whoever creates must look what is there after a lost answer.
 */
export interface S3 {
  /** The address of the bucket, for messages. */
  readonly where: string;
  /** The store's clock less this machine's, as the last answer said; null before the first. */
  readonly ahead_ms: number | null;
  /** Puts an object in place of what is there. The store verifies `hash`, the bytes' SHA-256 in hexadecimal. */
  put(key: string, bytes: Uint8Array, options?: PutOptions): Promise<void>;
  /** Creates an object unless there is one of that key. A conflict with another creation is tried again. */
  create(key: string, bytes: Uint8Array, options?: PutOptions): Promise<'created' | 'exists'>;
  /** null where there is no such object. */
  get(key: string): Promise<Uint8Array | null>;
  /** The bytes [from, to) in pieces; null where there is no such object. Beyond its end there are none. It is not tried again once it has begun. */
  stream(key: string, from?: number, to?: number): Promise<AsyncIterable<Uint8Array> | null>;
  head(key: string): Promise<Omit<ObjectInfo, 'key'> | null>;
  delete(key: string): Promise<void>;
  /** Every object whose key begins so, in ascending order of keys. */
  list(prefix: string, at_once?: number): AsyncIterable<ObjectInfo>;
  /** Puts an object that comes in parts, each of at least 5 MiB except the last; it is there once all of it is. */
  putParts(key: string, parts: AsyncIterable<Uint8Array>): Promise<void>;
  presignPut(key: string, hash: string, size_bytes: number, expires_s: number): PresignedPut;
  /** @param time_ms since when it is valid; by default now */
  presignGet(key: string, expires_s: number, time_ms?: number): string;
  /** A request of any kind to the bucket itself, for its settings; its status is not judged. */
  ofBucket(method: string, setting: string, body?: Uint8Array, headers?: Record<string, string>): Promise<Answer>;
}

export interface PutOptions {
  readonly hash?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Slow stores take seconds for a PUT; a whole body has no limit. */
const SILENCE_MS = 15_000;
/** Waits between attempts, six seconds in all: of a store that refuses a fifth of all requests one in 16,000 is still refused. */
const RETRY_WAITS_MS = [100, 200, 400, 800, 1_600, 3_200];
/** How often a creation that ran into another is tried again; S3 asks for that. */
const CONFLICT_TRIES = 5;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Asked {
  readonly method: string;
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly hash?: string;
  /** Statuses that are answers, not failures. */
  readonly also?: readonly number[];
}

/** Throws S3Error `s3-bad-address`. Nothing is asked yet. */
export function openS3(options: S3Options): S3 {
  const { now_ms = Date.now, wait = sleep, silence_ms = SILENCE_MS, region = 'us-east-1' } = options;
  const { origin, host, root, where } = addressOf(options.url);
  const http = openHttp(origin);
  const signer = openSigner({ ...options, region });
  let ahead_ms: number | null = null;
  const pathOf = (key: string): string =>
    key === '' ? root.bucket : `${root.objects}${key.split('/').map(uriEncode).join('/')}`;

  /** One attempt; the answer's body is not read yet, and must be. */
  const attempt = async (asked: Asked): Promise<Heard> => {
    const { method, key, query = {}, body, hash, also = [] } = asked;
    const payload_hash = hash ?? (body ? sha256Hex(body) : EMPTY_SHA256);
    const request = { method, host, path: pathOf(key), query, headers: asked.headers ?? {}, time_ms: now_ms() };
    const signed = signer.sign(request, payload_hash);
    const url = `${origin}${request.path}${signed.query && `?${signed.query}`}`;
    const what = `${method} ${key || 'the bucket'}`;
    const failed = (error: unknown): S3Error =>
      error instanceof S3Error ? error : unreachable(where, what, reasonOf(error));
    try {
      const answer = await http({ method, url, headers: signed.headers, body, silence_ms });
      const date_ms = Date.parse(answer.header('date') ?? '');
      if (!Number.isNaN(date_ms)) ahead_ms = date_ms - now_ms();
      const heard = { answer, failed };
      if ((answer.status >= 200 && answer.status < 300) || also.includes(answer.status)) return heard;
      const text = new TextDecoder().decode(await allOf(heard));
      throw errorOfAnswer({ where, asked: what, status: answer.status, code: codeIn(text), ahead_ms });
    } catch (error) {
      throw failed(error);
    }
  };

  /** Tries again what may pass. `read` reads the answer, so that a body that breaks off is fetched again. */
  const ask = async <T>(asked: Asked, read: (heard: Heard) => Promise<T>, waits = RETRY_WAITS_MS): Promise<T> => {
    for (let tries = 0; ; tries++) {
      try {
        return await read(await attempt(asked));
      } catch (error) {
        if (!mayPass(error) || tries >= waits.length) throw error;
        await wait(waits[tries]);
      }
    }
  };
  const textOf = async (heard: Heard): Promise<string> => new TextDecoder().decode(await allOf(heard));
  const statusOf = async (heard: Heard): Promise<number> => {
    await allOf(heard);
    return heard.answer.status;
  };
  /** 404 also answers for a bucket that is gone, which must never read as an object that is not there. */
  const missing = async (heard: Heard, key: string): Promise<null> => {
    const code = codeIn(await textOf(heard));
    if (code === 'NoSuchBucket') throw errorOfAnswer({ where, asked: `GET ${key}`, status: 404, code, ahead_ms });
    return null;
  };

  const s3: S3 = {
    where,
    get ahead_ms() {
      return ahead_ms;
    },
    put: async (key, body, { hash, headers } = {}) =>
      void (await ask({ method: 'PUT', key, body, hash, headers }, statusOf)),
    async create(key, body, { hash, headers } = {}) {
      const asked = { method: 'PUT', key, body, hash, headers: { ...headers, 'if-none-match': '*' }, also: [409, 412] };
      for (let tries = 1; ; tries++) {
        const status = await ask(asked, statusOf, []);
        if (status === 412) return 'exists';
        if (status !== 409) return 'created';
        if (tries === CONFLICT_TRIES)
          throw new S3Error('s3-busy', `${where}: got 409 to PUT ${key} ${tries} times`, { status });
        await wait(RETRY_WAITS_MS[tries - 1]);
      }
    },
    get: (key) =>
      ask({ method: 'GET', key, also: [404] }, async (heard) =>
        heard.answer.status === 404 ? missing(heard, key) : allOf(heard),
      ),
    async stream(key, from = 0, to = Number.POSITIVE_INFINITY) {
      if (to <= from) return (await s3.head(key)) && none();
      const part = from > 0 || to < Number.POSITIVE_INFINITY;
      const headers = part ? { range: `bytes=${from}-${Number.isFinite(to) ? to - 1 : ''}` } : undefined;
      return ask({ method: 'GET', key, headers, also: [404, 416] }, async (heard) => {
        const { status } = heard.answer;
        if (status === 404) return missing(heard, key);
        if (status !== 416) return piecesOf(heard);
        await allOf(heard);
        return none();
      });
    },
    head: (key) =>
      ask({ method: 'HEAD', key, also: [404] }, async (heard) => {
        await allOf(heard);
        const { answer } = heard;
        if (answer.status === 404) return null;
        return {
          size_bytes: Number(answer.header('content-length')),
          modified_ms: Date.parse(answer.header('last-modified') ?? ''),
        };
      }),
    delete: async (key) => void (await ask({ method: 'DELETE', key, also: [404] }, statusOf)),
    list: (prefix, at_once = PAGE) =>
      listAll({ prefix: root.prefix + prefix, skip: root.prefix.length, at_once }, (query) =>
        ask({ method: 'GET', key: '', query }, textOf),
      ),
    async putParts(key, parts) {
      const begun = await ask({ method: 'POST', key, query: { uploads: '' } }, textOf);
      const uploadId = /<UploadId>([^<]{1,1024})<\/UploadId>/.exec(begun)?.[1];
      if (!uploadId)
        throw new S3Error('s3-refused', `${where}: expected an UploadId in the answer to POST ${key}?uploads`);
      try {
        const made: string[] = [];
        for await (const body of parts) {
          const query = { partNumber: String(made.length + 1), uploadId };
          const tag = await ask({ method: 'PUT', key, query, body }, async (heard) => {
            await allOf(heard);
            return heard.answer.header('etag') ?? '';
          });
          made.push(`<Part><PartNumber>${query.partNumber}</PartNumber><ETag>${tag}</ETag></Part>`);
        }
        const list = `<CompleteMultipartUpload>${made.join('')}</CompleteMultipartUpload>`;
        const ended = await ask(
          { method: 'POST', key, query: { uploadId }, body: new TextEncoder().encode(list) },
          textOf,
        );
        // S3 may answer 200 and then say in the body that it failed.
        if (codeIn(ended))
          throw errorOfAnswer({ where, asked: `POST ${key}?uploadId`, status: 500, code: codeIn(ended), ahead_ms });
      } catch (error) {
        await ask({ method: 'DELETE', key, query: { uploadId }, also: [404] }, statusOf).catch(() => {}); // the first error says more
        throw error;
      }
    },
    presignPut(key, hash, size_bytes, expires_s) {
      // The first is held against the bytes by stores as they are, the second by stores that check sums; some know only one of them.
      const headers = {
        'x-amz-checksum-sha256': Buffer.from(hash, 'hex').toString('base64'),
        'x-amz-content-sha256': hash,
      };
      const signed = { 'content-length': String(size_bytes), ...headers };
      const request = { method: 'PUT', host, path: pathOf(key), query: {}, headers: signed, time_ms: now_ms() };
      return { url: origin + signer.presign(request, expires_s), headers };
    },
    presignGet(key, expires_s, time_ms = now_ms()) {
      const request = { method: 'GET', host, path: pathOf(key), query: {}, headers: {}, time_ms };
      return origin + signer.presign(request, expires_s);
    },
    ofBucket: (method, setting, body, headers) =>
      ask(
        { method, key: '', query: { [setting]: '' }, body, headers, also: [400, 403, 404, 405, 501] },
        async (heard) => ({
          status: heard.answer.status,
          text: await textOf(heard),
        }),
      ),
  };
  return s3;
}

/** Throws S3Error `s3-bad-address`. */
function addressOf(text: string) {
  const url = URL.canParse(text) ? new URL(text) : null;
  const [bucket, ...prefix] = (url?.pathname ?? '').split('/').filter((part) => part !== '');
  const isPlain = url && /^https?:$/.test(url.protocol) && !url.search && !url.hash && !url.username;
  if (
    !isPlain ||
    !bucket ||
    !/^[a-z0-9.-]{3,63}$/.test(bucket) ||
    !prefix.every((part) => /^[\w.-]{1,100}$/.test(part))
  ) {
    throw new S3Error('s3-bad-address', `expected http(s)://host[:port]/bucket[/prefix], got ${text.slice(0, 200)}`);
  }
  const under = prefix.map((part) => `${part}/`).join('');
  return {
    ...{ origin: url.origin, host: url.host, where: `${url.origin}/${bucket}` },
    root: { bucket: `/${bucket}`, objects: `/${bucket}/${under}`, prefix: under },
  };
}

/** An answer whose body is still to be read. */
interface Heard {
  readonly answer: HttpAnswer;
  failed(error: unknown): S3Error;
}

async function allOf({ answer, failed }: Heard): Promise<Uint8Array> {
  try {
    return await answer.all();
  } catch (error) {
    throw failed(error);
  }
}

async function* piecesOf({ answer, failed }: Heard): AsyncGenerator<Uint8Array, void> {
  try {
    yield* answer.pieces();
  } catch (error) {
    throw failed(error);
  }
}

async function* none(): AsyncGenerator<Uint8Array, void> {}

function reasonOf(error: unknown): string {
  // Of several addresses that were tried, the last says as much as the first.
  const cause = error instanceof AggregateError ? error.errors.at(-1) : error;
  if (!(cause instanceof Error)) return String(cause);
  return cause.message || String('code' in cause ? cause.code : cause.name);
}
