// A pool behind a server of one machine: what has no room here, or is not here, goes on to a hub's API as it came, and its answer comes back as it comes.
import { z } from 'zod';
import type { OfferedModel } from '../answers.ts';
import { API_LIMITS } from '../limits.ts';
import { OWNERS_HEADER, TRUST_HEADER } from './trust.ts';

/** Says in an answer's headers which hub's pool has written it. */
export const ANSWERED_BY_HEADER = 'potluck-answered-by';

export interface PoolBehind {
  /** The hub's address. */
  readonly url: string;
  /** null: the hub needs none. */
  readonly key: string | null;
  /** Whose devices may read what goes on: see TRUST_WORDS. The hub's word is all that holds it to that. */
  readonly trust: string;
  /** The models of this machine. */
  models(): readonly OfferedModel[];
  readonly fetch?: typeof fetch;
  /** A request goes on. `why`: the code with which this machine did not answer. */
  onForwarded(forwarded: { readonly path: string; readonly model: string; readonly why: string }): void;
  /** The hub does not let this machine ask, whose key it is: no caller here could do anything about it. */
  onRefused(status: number): void;
}

type Serve<Env> = (request: Request, env: Env) => Response | Promise<Response>;

/** Codes of answers that another server may have room for. */
const ELSEWHERE: readonly string[] = ['server_busy', 'model_not_found', 'engine_ended', 'no_engine'];
const ASKED = /^\/v1\/(chat\/completions|completions|responses|embeddings)$/;
/** Statuses that are between this machine and the hub: a key that it does not take, a model that it has not. */
const NOT_THERE: readonly number[] = [401, 403, 404];
/** The list of the pool's models is no reason to wait long for this machine's own. */
const LIST_MS = 2000;
/** Headers of the pool's answer that are its caller's; all others are between this machine and the hub. */
const PASSED = [
  'content-type',
  'cache-control',
  'x-accel-buffering',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
];

const AskedSchema = z.looseObject({ model: z.string() });
const RefusalSchema = z.object({ error: z.object({ code: z.string() }) });
const ListSchema = z.object({
  data: z.array(z.looseObject({ id: z.string(), hash: z.string(), quantisation: z.string() })),
});
type Listed = z.infer<typeof ListSchema>['data'];

/** This machine first: `local` answers, and only what it refuses for want of room or of the model goes on. */
export function withPoolBehind<Env>(local: Serve<Env>, pool: PoolBehind): Serve<Env> {
  return async (request, env) => {
    const { pathname } = new URL(request.url);
    if (request.method === 'GET' && pathname === '/v1/models') return joinedList(await local(request, env), pool);
    const bytes = Number(request.headers.get('content-length') ?? Number.NaN);
    // What is not whole in memory cannot be asked twice; what is too large is refused here.
    const isAsked = request.method === 'POST' && ASKED.test(pathname) && bytes <= API_LIMITS.body_bytes;
    if (!isAsked) return local(request, env);
    const body = await request.arrayBuffer(); // as it came: a text would be another where it is not UTF-8
    const { method, headers, signal } = request;
    const answer = await local(new Request(request.url, { method, headers, signal, body }), env);
    const why = await refusalOf(answer);
    const asked = why === null ? null : parsed(AskedSchema, new TextDecoder().decode(body));
    // Whoever has said whose devices may read it, by a header or with the key, has not allowed others.
    if (why === null || asked === null || answer.headers.has(OWNERS_HEADER)) return answer;
    return (await fromPool(pathname, asked, { why, answer, signal }, pool)) ?? answer;
  };
}

interface Refused {
  readonly why: string;
  readonly answer: Response;
  readonly signal: AbortSignal;
}

/** The pool's answer; null: it has not the model either, does not let this machine ask, or does not answer at all. */
async function fromPool(
  path: string,
  asked: z.infer<typeof AskedSchema>,
  { why, answer, signal }: Refused,
  pool: PoolBehind,
): Promise<Response | null> {
  const here = pool.models().find(({ name }) => name === asked.model);
  // A name may mean another model there: what is here is asked for by its hash, so that a seed gives the same text.
  const there = here ? (await poolModels(pool)).find((one) => isSame(one, here)) : null;
  if (there === undefined) return null;
  const model = there?.id ?? asked.model;
  pool.onForwarded({ path, model, why });
  const ask = pool.fetch ?? fetch;
  const headers = { 'content-type': 'application/json', ...headersFor(pool) };
  const body = JSON.stringify({ ...asked, model });
  const found = await ask(new URL(path, pool.url), { method: 'POST', headers, body, signal }).catch(() => null);
  signal.throwIfAborted();
  if (!found) return null;
  if (NOT_THERE.includes(found.status)) {
    if (found.status !== 404) pool.onRefused(found.status);
    await found.body?.cancel();
    return null;
  }
  const passed = PASSED.flatMap((name) => {
    const value = found.headers.get(name);
    return value === null ? [] : [[name, value] as [string, string]];
  });
  // Which pages may read it, and its number, are this machine's to say.
  const own = [...answer.headers].filter(([name]) => /^(access-control-|vary$|x-request-id$)/.test(name));
  await answer.body?.cancel();
  const said = [...own, ...passed, [ANSWERED_BY_HEADER, pool.url] as [string, string]];
  return new Response(found.body, { status: found.status, headers: said });
}

const isSame = (one: Listed[number], { hash, quantisation }: OfferedModel): boolean =>
  one.hash === hash && one.quantisation === quantisation;

function headersFor({ key, trust }: PoolBehind): Record<string, string> {
  return { ...(key !== null && { authorization: `Bearer ${key}` }), ...(trust !== 'any' && { [TRUST_HEADER]: trust }) };
}

/** What the pool offers; nothing where it does not say. */
async function poolModels(pool: PoolBehind): Promise<Listed> {
  try {
    const ask = pool.fetch ?? fetch;
    const signal = AbortSignal.timeout(LIST_MS);
    const answer = await ask(new URL('/v1/models', pool.url), { headers: headersFor(pool), signal });
    return ListSchema.parse(await answer.json()).data;
  } catch {
    return [];
  }
}

async function joinedList(answer: Response, pool: PoolBehind): Promise<Response> {
  const { data: here } = answer.ok ? ListSchema.parse(await answer.clone().json()) : { data: null };
  if (!here) return answer;
  const names = new Set(here.map(({ id }) => id));
  const there = (await poolModels(pool)).filter(({ id }) => !names.has(id));
  const headers = new Headers(answer.headers);
  headers.delete('content-length');
  return new Response(JSON.stringify({ object: 'list', data: [...here, ...there] }), {
    status: answer.status,
    headers,
  });
}

/** The code of a refusal that another server may not share; null: it is the answer. */
async function refusalOf(answer: Response): Promise<string | null> {
  if (answer.status !== 404 && answer.status !== 429 && answer.status !== 503) return null;
  const code = parsed(RefusalSchema, await answer.clone().text())?.error.code;
  return code !== undefined && ELSEWHERE.includes(code) ? code : null;
}

function parsed<T>(schema: z.ZodType<T>, text: string): T | null {
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
