// `potluck hub --nats`: the options of a process that is one of several of a hub, and what may pass when it fails.
import { InvalidArgumentError } from 'commander';
import type { ClusterPlace } from '../hub/cluster/join.ts';
import { ROLES, type Role } from '../hub/cluster/member.ts';
import { natsAccess } from '../hub/cluster/nats-access.ts';
import { HubError } from '../hub/errors.ts';
import { LedgerError, type LedgerErrorCode } from '../ledger/errors.ts';
import { mayPass } from '../ledger/s3/errors.ts';
import { CliError } from './output.ts';

export interface ClusterFlags {
  nats?: string;
  roles?: ReadonlySet<Role>;
  region?: string;
  s3?: string;
}

/** A list of roles, or one clear line. */
export function roles(text: string): ReadonlySet<Role> {
  const named = text.split(',').map((name) => name.trim());
  for (const name of named) {
    if (!(ROLES as readonly string[]).includes(name)) {
      throw new InvalidArgumentError(`expected some of ${ROLES.join(', ')}, separated by commas; got "${name}".`);
    }
  }
  return new Set(named as Role[]);
}

/** How this process takes part; undefined for a hub that is one process. Throws CliError `bad-argument`, HubError `no-bus`. */
export function clusterOf(flags: ClusterFlags, env: NodeJS.ProcessEnv = process.env): ClusterPlace | undefined {
  if (flags.nats === undefined) {
    if (flags.roles) throw new CliError('bad-argument', '--roles: a hub of several processes needs --nats, got none');
    if (flags.region) throw new CliError('bad-argument', '--region: a hub of several processes needs --nats, got none');
    return undefined;
  }
  if (flags.s3 === undefined) {
    throw new CliError(
      'bad-argument',
      '--nats: a hub of several processes keeps its log in a bucket: expected --s3, got none',
    );
  }
  return {
    nats: natsAccess(flags.nats, env),
    roles: flags.roles ?? new Set(ROLES),
    region: flags.region ?? null,
  };
}

/** What a process of several starts again after: another process leads, or its bucket or NATS did not answer for a while. */
const PASSES: readonly LedgerErrorCode[] = ['fenced', 'write-failed', 'journal-unreachable'];

export const mayStartAgain = (error: unknown): boolean =>
  (error instanceof LedgerError && PASSES.includes(error.code)) ||
  (error instanceof HubError && (error.code === 'no-bus' || error.code === 'no-answer')) ||
  mayPass(error);
