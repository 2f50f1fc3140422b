// Which run of a hub a device works for that may work for any: one pure function of what the hub shows and what the device knows.
// A run in which it has a record comes first: a record is what lets a device do whole rounds, and it is lost nowhere by staying. Then runs
// whose work is credited, then those that wait for one more; of the rest the one with the fewest devices of this role, since a round's shares are
// divided among them. Devices that ask at the same moment are spread by their keys, not all sent to the first of a list.
import type { PeerRole } from '../core/events/peer-joined.ts';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import type { RunStatus } from '../protocol/messages.ts';

/** A run as its hub shows it. */
export interface OpenRun {
  readonly run: string;
  readonly phase: RunStatus['phase'];
  readonly workers: number;
  readonly workers_needed: number;
  readonly validators: number;
}

export const openRunOf = ({ run, phase, peers, workers_needed }: RunStatus): OpenRun => {
  const here = (role: PeerRole): number => peers.filter((peer) => peer.role === role && peer.present).length;
  return { run, phase, workers: here('worker'), workers_needed, validators: here('validator') };
};

/** What a device knows when it chooses. */
export interface Chooser {
  readonly role: PeerRole;
  /** What tells this device from others. */
  readonly device: string;
  /** When it handed in something in a run last, in milliseconds since 1970; null: never. */
  worked_ms(run: string): number | null;
  /** Whether it is not to be tried now: it did not fit lately, or another part of this device is in it. */
  isLeftOut(run: string): boolean;
}

/** null: there is none to work for now. */
export function runToJoin(runs: readonly OpenRun[], chooser: Chooser): string | null {
  const rank = rankFor(chooser);
  const open = runs.filter(({ run, phase }) => phase !== 'finished' && phase !== 'paused' && !chooser.isLeftOut(run));
  const ranked = open.map((one) => ({ run: one.run, rank: rank(one) }));
  ranked.sort((a, b) => compare(a.rank, b.rank));
  return ranked[0]?.run ?? null;
}

/** The smaller comes first, field by field. */
type Rank = readonly (number | string)[];

function rankFor({ role, device, worked_ms }: Chooser): (run: OpenRun) => Rank {
  return ({ run, workers, workers_needed, validators }) => {
    const last_ms = worked_ms(run);
    const missing = workers_needed - workers;
    return [
      last_ms === null ? 1 : 0,
      -(last_ms ?? 0),
      // For a worker: nobody is credited without a validator. For a validator: where nobody works there is nothing to judge.
      role === 'worker' ? Number(validators === 0) : Number(workers === 0),
      // A run that waits for one or two is helped most.
      role === 'worker' && missing > 0 ? missing : Number.MAX_SAFE_INTEGER,
      role === 'worker' ? workers : validators,
      sha256Hex(utf8(`${device} ${run}`)),
    ];
  };
}

function compare(a: Rank, b: Rank): number {
  const i = a.findIndex((value, at) => value !== b[at]);
  if (i === -1) return 0;
  return a[i] < b[i] ? -1 : 1;
}
