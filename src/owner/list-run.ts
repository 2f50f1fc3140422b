// Lists a run in a registry's directory for its owner, with the proof that the log of its hub holds it.
import type { RunListed } from '../core/events/run-listed.ts';
import { directoryOf } from '../peer/directory.ts';
import { findRun } from '../peer/find-run.ts';
import { mayGoTo } from '../peer/fronts.ts';
import { provenEntry } from '../peer/proven-entry.ts';
import { registryOf } from '../peer/registry.ts';
import { sendEvent } from '../peer/send-event.ts';
import { signEvent } from '../protocol/envelope.ts';
import type { Identity } from '../protocol/identity.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { OwnerError } from './errors.ts';

export interface ListRunOptions {
  /** Where the run is, as others reach it. */
  readonly url: string;
  /** The registry; missing: the one that the hub follows. */
  readonly registry: string | undefined;
  readonly owner: Identity;
  /** The run's name, or the beginning of its id. */
  readonly wanted: string;
}

export interface RunIsListed {
  readonly run: string;
  readonly name: string;
  readonly hub: string;
  readonly url: string;
  readonly registry: string;
  readonly registry_url: string;
  /** How often the run has been listed there, with this time. */
  readonly listed: number;
  readonly event: string;
}

/**
 * Lists a run where it is now. Throws OwnerError `not-the-owner`, `no-registry`, `not-reachable`; PeerError `no-such-run`, `refused`,
 * `hub-unreachable`, `not-a-hub`.
 */
export async function listRun({ url, registry, owner, wanted }: ListRunOptions): Promise<RunIsListed> {
  const { hub, view } = await findRun(url, wanted);
  const { run, name, moved } = view;
  if (view.owner !== owner.id) {
    throw new OwnerError('not-the-owner', `only the owner ${view.owner} can list run ${run}, got ${owner.id}`);
  }
  if (moved) {
    throw new PeerError('refused', `the run has gone to the hub ${moved.hub}, at ${moved.url}: list it there`, {
      refusal: 'run-moved',
    });
  }
  const at = registry ?? (await registryOf(url))?.url;
  if (at === undefined) {
    throw new OwnerError('no-registry', `expected the address of a registry: the hub at ${url} follows none`);
  }
  if (!mayGoTo(url, at)) {
    throw new OwnerError(
      'not-reachable',
      `expected the address at which others reach the hub, got ${url}: nobody goes there from ${at}`,
    );
  }
  const { hub: keeper, runs } = await directoryOf(at, run);
  const number = runs.find((one) => one.run === run)?.listed ?? 0;
  const held = await provenEntry(url, hub, `/runs/${run}/proof`);
  const body: RunListed = { type: 'run.listed', version: 1, run, number, url, held };
  const event = await sendEvent(at, await signEvent(owner, { ...body }));
  return { run, name, hub, url, registry: keeper, registry_url: at, listed: number + 1, event };
}
