// Reads the body of a request by its schema, and says which field is wrong, and whether it is wrong or only not done here.
import type { Context } from 'hono';
import type { z } from 'zod';
import { ApiError } from './errors.ts';

/** Throws ApiError: `not-json`, `bad-request`, `unsupported`. */
export async function requestBody<T extends z.ZodType>(c: Context, schema: T): Promise<z.output<T>> {
  let value: unknown;
  try {
    value = JSON.parse(await c.req.text());
  } catch {
    throw new ApiError('not-json', 'expected JSON as the body of the request');
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw errorOf(parsed.error.issues);
}

type Issue = z.core.$ZodIssue;

function errorOf(issues: readonly Issue[]): ApiError {
  const { path, issue } = deepest(issues, []);
  if (issue.code === 'unrecognized_keys') {
    const param = [...path, issue.keys[0]].join('.');
    return new ApiError('unsupported', `${param}: this server does not do that, and ignores nothing`, { param });
  }
  const param = path.join('.');
  const message = issue.message.replace(/^Invalid input: /, '');
  return new ApiError('bad-request', param === '' ? message : `${param}: ${message}`, param === '' ? {} : { param });
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
