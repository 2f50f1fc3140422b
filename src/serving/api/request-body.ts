// Reads the body of a request by its schema, and says which field is wrong, and whether it is wrong or only not done here.
import type { Context } from 'hono';
import type { z } from 'zod';
import { API_LIMITS } from '../limits.ts';
import { ApiError } from './errors.ts';

/** Deeper than any schema within a request may be. */
const BODY_DEPTH = 2 * API_LIMITS.schema_depth;

/** Half of a character outside the first plane, as JSON escapes it. */
const HALF = /\\u[dD][89a-fA-F]/;

/** Throws ApiError: `encoded-body`, `not-json`, `bad-request`, `unsupported`. */
export async function requestBody<T extends z.ZodType>(c: Context, schema: T): Promise<z.output<T>> {
  const encoding = c.req.header('content-encoding') ?? 'identity';
  if (encoding.toLowerCase() !== 'identity') {
    throw new ApiError('encoded-body', `expected a body as it is, got one in the encoding ${encoding.slice(0, 40)}`);
  }
  const bytes = await c.req.arrayBuffer();
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ApiError('not-json', 'expected JSON in UTF-8 as the body of the request');
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ApiError('not-json', 'expected JSON as the body of the request');
  }
  if (HALF.test(text)) refuseHalves(value, []);
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw errorOf(parsed.error.issues);
}

/** No text has half of a surrogate pair, and no tokenizer a token for it: one that was cut in the middle is no longer what it was. */
function refuseHalves(value: unknown, path: readonly string[]): void {
  if (path.length > BODY_DEPTH) throw new ApiError('bad-request', `nested deeper than ${BODY_DEPTH}`);
  if (typeof value === 'string') mustBeText(value, path);
  if (typeof value !== 'object' || value === null) return;
  for (const [name, part] of Object.entries(value)) {
    mustBeText(name, path);
    refuseHalves(part, [...path, name]);
  }
}

function mustBeText(text: string, path: readonly string[]): void {
  if (text.isWellFormed()) return;
  const param = path.join('.');
  const fact = 'half of a surrogate pair is no text';
  throw new ApiError('bad-request', param === '' ? fact : `${param}: ${fact}`, param === '' ? {} : { param });
}

type Issue = z.core.$ZodIssue;

function errorOf(issues: readonly Issue[]): ApiError {
  const { path, issue } = deepest(issues, []);
  if (issue.code === 'unrecognized_keys') {
    const param = [...path, issue.keys[0]].join('.');
    return new ApiError('unsupported', `${param}: this server does not do that, and ignores nothing`, { param });
  }
  const param = path.join('.');
  const message = wordsOf(issue);
  return new ApiError('bad-request', param === '' ? message : `${param}: ${message}`, param === '' ? {} : { param });
}

/** What was expected; of alternatives that begin alike, each. */
function wordsOf(issue: Issue): string {
  if (issue.code !== 'invalid_union') return issue.message.replace(/^Invalid input: /, '');
  const firsts = issue.errors.flatMap(([first]) => (first ? [first] : []));
  const near = firsts.find(({ code, path }) => code !== 'invalid_type' && path.length === 0);
  if (near) return wordsOf(near);
  const expected = new Set(firsts.flatMap((first) => (first.code === 'invalid_type' ? [first.expected] : [])));
  return expected.size === 0 ? issue.message : `expected ${[...expected].join(' or ')}`;
}

interface Found {
  readonly path: readonly PropertyKey[];
  readonly issue: Issue;
}

/** The first issue; of alternatives, that which came furthest: it is the one that was meant. */
function deepest([issue]: readonly Issue[], above: readonly PropertyKey[]): Found {
  const path = [...above, ...issue.path];
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return { path, issue };
  const found = issue.errors.filter((issues) => issues.length > 0).map((issues) => deepest(issues, path));
  const best = found.reduce<Found | null>(
    (best, next) => (best !== null && best.path.length >= next.path.length ? best : next),
    null,
  );
  return best !== null && best.path.length > path.length ? best : { path, issue };
}
