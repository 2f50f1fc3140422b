// Whose devices may read a request: what the caller's key allows, and what the request itself asks for in a header.
import { isPeerId } from '../../protocol/identity.ts';
import { API_LIMITS } from '../limits.ts';
import { ApiError } from './errors.ts';
import type { Caller } from './keys.ts';

/** `any`, `mine`, or accounts separated by commas. Without it a key's own rule holds. */
export const TRUST_HEADER = 'potluck-trust';

/** Says in an answer's headers whose devices alone may read the request, where that is not any device. */
export const OWNERS_HEADER = 'potluck-owners';

export const TRUST_WORDS =
  `The header ${TRUST_HEADER} says whose devices may read the request: \`mine\` are those of the owners that the key names, and a list of ` +
  'accounts (64 hexadecimal digits each, separated by commas) those of these owners. A key made with --owners has that rule in every ' +
  'request, and a header can only narrow it. What cannot be kept is refused.';

/**
 * The accounts whose devices alone may get a request; null: any device. Throws ApiError `bad-request` for a header that says nothing,
 * `unsupported` for one that cannot be kept.
 */
export function trustedOwners(header: string | undefined, { owners }: Pick<Caller, 'owners'>): Set<string> | null {
  const allowed = owners && new Set(owners);
  const said = header?.trim();
  if (said === undefined || said === 'any') return allowed;
  if (said === 'mine') {
    if (allowed) return allowed;
    return refuse(
      'unsupported',
      'nothing says whose devices are yours: ask with a key that was made with --owners (or, without keys, where potluck id has made an account)',
    );
  }
  const named = said.split(',').map((word) => word.trim());
  if (!named.every(isPeerId) || named.length > API_LIMITS.owners) {
    return refuse('bad-request', `expected any, mine, or 1 to ${API_LIMITS.owners} accounts separated by commas`);
  }
  const both = new Set(named.filter((owner) => allowed?.has(owner) ?? true));
  if (both.size > 0) return both;
  return refuse('unsupported', 'the key trusts none of the owners that the request names');
}

function refuse(code: 'bad-request' | 'unsupported', fact: string): never {
  throw new ApiError(code, `${TRUST_HEADER}: ${fact}`, { param: TRUST_HEADER });
}
