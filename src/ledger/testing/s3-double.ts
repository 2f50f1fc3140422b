// An S3 in this process for tests: it verifies every signature, creates once, holds uploads against their hash, and fails as it is told to.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { sha256Hex } from '../../protocol/hash.ts';

export interface S3Faults {
  /** Of a hundred requests: so many get 503 and do nothing. */
  busy_percent: number;
  /** So many are done, and the connection ends without an answer. */
  lost_percent: number;
  /** So many creations get 409 and do nothing. */
  conflict_percent: number;
  /** So many creations lose their connection and are done after the next request has been answered. */
  late_percent: number;
  /** Every request waits so long. */
  slow_ms: number;
  /** What a store does wrong: takes any creation, or any bytes for any hash, or no CORS rules. */
  unfit: 'conditions' | 'hash' | 'cors' | null;
  /** The store's clock less the real one. */
  ahead_ms: number;
}

interface Kept {
  readonly bytes: Buffer;
  modified_ms: number;
  readonly headers: Record<string, string>;
}

export interface S3Double {
  readonly url: string;
  readonly access_key_id: string;
  readonly secret_access_key: string;
  readonly bucket: string;
  /** Whole keys and their objects. */
  readonly objects: Map<string, Kept>;
  readonly faults: S3Faults;
  /** How many requests of each kind came: `PUT`, `GET`, … */
  readonly requests: Map<string, number>;
  /** The headers of every request that came, for what must not be sent. */
  onRequest: ((request: IncomingMessage, key: string) => void) | null;
  stop(): Promise<void>;
}

/** What refuses a request, with S3's own code. */
class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string) {
    super(code);
    this.status = status;
    this.code = code;
  }
}

const KEYS = { access_key_id: 'double', secret_access_key: 'of-the-double' };
const SKEW_MS = 15 * 60_000;
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
const escaped = (text: string): string =>
  text.replace(/[&<>]/g, (char) => `&#${char.charCodeAt(0)};`.replace('&#38;', '&amp;'));

/** @param random a number in [0, 1) for each decision about a fault */
export async function startS3Double(random: () => number = Math.random): Promise<S3Double> {
  const bucket = 'pot';
  const objects = new Map<string, Kept>();
  const uploads = new Map<string, Map<number, Buffer>>();
  const requests = new Map<string, number>();
  const faults: S3Faults = {
    busy_percent: 0,
    lost_percent: 0,
    conflict_percent: 0,
    late_percent: 0,
    slow_ms: 0,
    unfit: null,
    ahead_ms: 0,
  };
  let cors: string | null = null;
  let late: (() => void)[] = [];
  const now_ms = (): number => Date.now() + faults.ahead_ms;
  const happens = (percent: number): boolean => percent > 0 && random() * 100 < percent;

  /** Everything that decides is taken from the request as it came. Throws Refusal. */
  const mustBeSigned = (request: IncomingMessage, url: URL, body: Buffer): void => {
    const inQuery = url.searchParams.has('X-Amz-Signature');
    const auth = /^AWS4-HMAC-SHA256 Credential=([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=(\w+)$/.exec(
      request.headers.authorization ?? '',
    );
    if (!inQuery && !auth) throw new Refusal(403, 'AccessDenied');
    const [credential, names, signature] = inQuery
      ? ['Credential', 'SignedHeaders', 'Signature'].map((name) => url.searchParams.get(`X-Amz-${name}`) ?? '')
      : auth!.slice(1);
    const date = (inQuery ? url.searchParams.get('X-Amz-Date') : request.headers['x-amz-date']) as string;
    const [id, day, region] = credential.split('/');
    if (id !== KEYS.access_key_id) throw new Refusal(403, 'InvalidAccessKeyId');
    const at_ms = Date.parse(date.replace(/(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/, '$1-$2-$3T$4:$5:$6Z'));
    const expires_ms = inQuery ? Number(url.searchParams.get('X-Amz-Expires')) * 1000 : SKEW_MS;
    if (now_ms() > at_ms + expires_ms || now_ms() < at_ms - SKEW_MS)
      throw new Refusal(403, inQuery ? 'AccessDenied' : 'RequestTimeTooSkewed');
    const query = url.search
      .slice(1)
      .split('&')
      .filter((part) => part && !part.startsWith('X-Amz-Signature='))
      .sort()
      .join('&');
    const lines = names
      .split(';')
      .map((name) => `${name}:${String(request.headers[name] ?? '').trim()}\n`)
      .join('');
    const named = request.headers['x-amz-content-sha256'];
    const payload = names.includes('x-amz-content-sha256') ? String(named) : 'UNSIGNED-PAYLOAD';
    const canonical = [request.method, url.pathname, query, lines, names, payload].join('\n');
    const text = ['AWS4-HMAC-SHA256', date, `${day}/${region}/s3/aws4_request`, sha256Hex(Buffer.from(canonical))].join(
      '\n',
    );
    const key = hmac(hmac(hmac(hmac(`AWS4${KEYS.secret_access_key}`, day), region), 's3'), 'aws4_request');
    const expected = hmac(key, text);
    const given = Buffer.from(signature, 'hex');
    if (given.length !== expected.length || !timingSafeEqual(given, expected))
      throw new Refusal(403, 'SignatureDoesNotMatch');
    if (faults.unfit !== 'hash' && payload !== 'UNSIGNED-PAYLOAD' && sha256Hex(body) !== payload)
      throw new Refusal(400, 'XAmzContentSHA256Mismatch');
  };

  const put = (request: IncomingMessage, key: string, body: Buffer): number => {
    const once = request.headers['if-none-match'] === '*';
    if (once && happens(faults.conflict_percent)) throw new Refusal(409, 'ConditionalRequestConflict');
    if (once && objects.has(key) && faults.unfit !== 'conditions') throw new Refusal(412, 'PreconditionFailed');
    keep(request, key, body);
    return 200;
  };
  const keep = (request: IncomingMessage, key: string, body: Buffer): void => {
    const cache = request.headers['cache-control'];
    objects.set(key, { bytes: body, modified_ms: now_ms(), headers: cache ? { 'cache-control': cache } : {} });
  };

  const list = (url: URL): string => {
    const [prefix, after] = ['prefix', 'continuation-token'].map((name) => url.searchParams.get(name) ?? '');
    const most = Number(url.searchParams.get('max-keys') ?? 1000);
    const found = [...objects]
      .filter(([key]) => key.startsWith(prefix) && key > after)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    const page = found.slice(0, most);
    const entries = page.map(([key, { bytes, modified_ms }]) => {
      const when = new Date(modified_ms).toISOString();
      return `<Contents><Key>${escaped(key)}</Key><LastModified>${when}</LastModified><Size>${bytes.length}</Size></Contents>`;
    });
    const more = found.length > most ? `<NextContinuationToken>${page.at(-1)![0]}</NextContinuationToken>` : '';
    return `<ListBucketResult><IsTruncated>${more !== ''}</IsTruncated>${more}${entries.join('')}</ListBucketResult>`;
  };

  const get = (request: IncomingMessage, response: ServerResponse, key: string): void => {
    const kept = objects.get(key);
    if (!kept) throw new Refusal(404, 'NoSuchKey');
    const { bytes } = kept;
    const headers = {
      ...kept.headers,
      'last-modified': new Date(kept.modified_ms).toUTCString(),
      etag: `"${createHash('md5').update(bytes).digest('hex')}"`,
    };
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    if (range && Number(range[1]) >= bytes.length) throw new Refusal(416, 'InvalidRange');
    const [from, to] = range
      ? [Number(range[1]), Math.min(bytes.length, range[2] ? Number(range[2]) + 1 : bytes.length)]
      : [0, bytes.length];
    const part = range ? { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` } : {};
    response.writeHead(range ? 206 : 200, { ...headers, ...part, 'content-length': to - from });
    response.end(request.method === 'HEAD' ? undefined : bytes.subarray(from, to));
  };

  /** The parts of an object that comes in several. */
  const multipart = (request: IncomingMessage, response: ServerResponse, url: URL, key: string, body: Buffer): void => {
    const id = url.searchParams.get('uploadId');
    if (id === null) {
      const begun = `upload-${uploads.size}`;
      uploads.set(begun, new Map());
      return void response.end(
        `<InitiateMultipartUploadResult><UploadId>${begun}</UploadId></InitiateMultipartUploadResult>`,
      );
    }
    const parts = uploads.get(id);
    if (!parts) throw new Refusal(404, 'NoSuchUpload');
    if (request.method === 'PUT') {
      parts.set(Number(url.searchParams.get('partNumber')), body);
      return void response.setHeader('etag', `"${createHash('md5').update(body).digest('hex')}"`).end();
    }
    uploads.delete(id);
    if (request.method === 'DELETE') return void response.writeHead(204).end();
    const all = [...parts].sort(([a], [b]) => a - b).map(([, bytes]) => bytes);
    if (all.slice(0, -1).some(({ length }) => length < 5 << 20)) throw new Refusal(400, 'EntityTooSmall');
    objects.set(key, { bytes: Buffer.concat(all), modified_ms: now_ms(), headers: {} });
    response.end('<CompleteMultipartUploadResult></CompleteMultipartUploadResult>');
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url!, 'http://double');
    const [, first, ...rest] = url.pathname.split('/');
    const key = rest.map(decodeURIComponent).join('/');
    const method = request.method ?? '';
    requests.set(method, (requests.get(method) ?? 0) + 1);
    double.onRequest?.(request, key);
    const body = Buffer.concat(await request.toArray());
    if (faults.slow_ms > 0) await new Promise((resolve) => setTimeout(resolve, faults.slow_ms));
    response.setHeader('date', new Date(now_ms()).toUTCString());
    if (request.headers.origin && cors) response.setHeader('access-control-allow-origin', '*');
    if (method === 'OPTIONS') {
      if (!cors) throw new Refusal(403, 'AccessForbidden');
      const asked = request.headers['access-control-request-headers'];
      response.setHeader('access-control-allow-methods', 'GET, HEAD, PUT');
      if (asked) response.setHeader('access-control-allow-headers', asked);
      return void response.end();
    }
    if (happens(faults.busy_percent)) throw new Refusal(503, 'SlowDown');
    mustBeSigned(request, url, body);
    if (first !== bucket) throw new Refusal(404, 'NoSuchBucket');
    const [isLost, isLate] = [
      happens(faults.lost_percent),
      method === 'PUT' && key !== '' && happens(faults.late_percent),
    ];
    if (isLate && !url.searchParams.has('uploadId')) {
      late.push(() => {
        const taken = objects.has(key) && request.headers['if-none-match'] === '*';
        if (!taken) keep(request, key, body);
      });
      return void request.socket.destroy();
    }
    if (isLost) {
      response.end = () => {
        request.socket.destroy();
        return response;
      };
    }
    if (url.searchParams.has('uploads') || url.searchParams.has('uploadId'))
      return multipart(request, response, url, key, body);
    if (url.searchParams.has('cors')) {
      if (faults.unfit === 'cors') throw new Refusal(403, 'AccessDenied');
      if (method === 'GET' && cors === null) throw new Refusal(404, 'NoSuchCORSConfiguration');
      if (method === 'PUT') cors = body.toString();
      return void response.end(cors);
    }
    if (method === 'PUT') return void response.writeHead(put(request, key, body)).end();
    if (method === 'DELETE') {
      objects.delete(key);
      return void response.writeHead(204).end();
    }
    if (key === '') return void response.end(list(url));
    get(request, response, key);
  };

  const server = createServer((request, response) => {
    const due = late.splice(0);
    const answered = answer(request, response).finally(() => {
      for (const step of due) step();
    });
    answered.catch((error) => {
      const { status, code } = error instanceof Refusal ? error : { status: 500, code: 'InternalError' };
      response.writeHead(status).end(request.method === 'HEAD' ? undefined : `<Error><Code>${code}</Code></Error>`);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const stop = async (): Promise<void> => {
    late = [];
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  const double: S3Double = {
    url: `http://127.0.0.1:${port}`,
    ...KEYS,
    bucket,
    objects,
    faults,
    requests,
    onRequest: null,
    stop,
  };
  return double;
}
