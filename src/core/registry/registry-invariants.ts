// What must hold of a log's registry and directory, after every event.
import { HASH_FORM } from '../../protocol/hash.ts';
import type { EventBody } from '../events.ts';
import { LOGS_LIMITS } from '../limits.ts';
import type { NetworkState } from '../state.ts';

type Problems = Generator<string, void>;

/** What is known of devices and addresses, in numbers that cost nothing to take. */
export interface People {
  readonly registry: string | null;
  readonly seen: number;
  readonly known: number;
  readonly listed: number;
}

export const peopleIn = ({ registry, devices, addresses, directory }: NetworkState): People => ({
  ...{ registry: registry?.hub ?? null, seen: registry?.size ?? 0 },
  ...{ known: devices.size + addresses.size, listed: directory.size },
});

export function* registryProblems({ hub, registry, directory }: NetworkState): Problems {
  if (registry?.hub === hub) yield 'the log is its own registry';
  if (registry && !HASH_FORM.test(registry.root)) yield `the registry's root is "${registry.root}"`;
  if (directory.size > LOGS_LIMITS.listed_runs) yield `${directory.size} runs are listed`;
  for (const [run, { listed, moves }] of directory) {
    if (listed < 1 || moves < 0) yield `run ${run.slice(0, 8)} is listed ${listed} times, after ${moves} moves`;
  }
}

/** What one event may change: a log keeps its registry, sees ever more of it, and learns of devices from it alone. */
export function* registryStepProblems(before: People, state: NetworkState, { type }: EventBody): Problems {
  const now = peopleIn(state);
  if (before.registry !== null && now.registry !== before.registry) yield `the registry is ${now.registry} now`;
  if (now.seen < before.seen) yield `the registry had ${before.seen} entries, and has ${now.seen}`;
  if (type !== 'registry.seen' && now.seen !== before.seen) yield 'the registry was seen by another event';
  if (now.registry !== null && type !== 'registry.seen' && now.known !== before.known)
    yield 'a device or an address is known that the registry has not named';
  if (type !== 'run.listed' && now.listed !== before.listed) yield 'a run is listed by another event';
}
