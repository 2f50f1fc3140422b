// What a process of a hub of several has in place of the hub's key, and whether it computes by the leader's rules.
import { RULES_VERSION } from '../../core/reduce.ts';
import type { DrawingIdentity } from '../../protocol/identity.ts';
import { HubError } from '../errors.ts';

/** The hub's identity for a process that does not have its key: it signs nothing. */
export function withoutKey(id: string): DrawingIdentity {
  const refuse = (): never => {
    throw new HubError('no-key', "this process does not have the hub's key, and signs nothing in its name");
  };
  return { id, sign: async () => refuse(), prove: refuse };
}

/** Throws HubError `other-rules`: a process that computes states by other rules can neither follow nor lead. */
export function mustHaveRules(leaders: number): void {
  if (leaders === RULES_VERSION) return;
  const message = `the process that leads computes by rules ${leaders}, this one by rules ${RULES_VERSION}: run the same version of potluck everywhere`;
  throw new HubError('other-rules', message, { leaders, own: RULES_VERSION });
}
