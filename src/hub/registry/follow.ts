// A hub follows its registry: it keeps a copy of that log, and writes what concerns the devices and owners of its runs into its own, with proofs.
import { bytesToHex } from '@noble/hashes/utils.js';
import { openHubLog } from '../../audit/public-log-http.ts';
import type { RegistrySeen } from '../../core/events/registry-seen.ts';
import { LOGS_LIMITS } from '../../core/limits.ts';
import type { PlacedEvent } from '../../core/moving/foreign-event.ts';
import { type Fact, openFact, refusalOfFacts } from '../../core/registry/facts.ts';
import type { NetworkState } from '../../core/state.ts';
import { type SignedParts, takeApart } from '../../ledger/checkpoint.ts';
import { originOf } from '../../ledger/key-names.ts';
import { decodeEntryBundle } from '../../ledger/tiles.ts';
import type { Clock, Timer } from '../../protocol/clock.ts';
import { openLine } from '../../protocol/line.ts';
import { NO_POST, type Post } from '../cluster/post.ts';
import type { Sequencer } from '../sequencer.ts';
import { type Named, openRegistryCopy, type RegistryCopy } from './copy.ts';

const LIMITS = {
  look_ms: 2000, // between two looks at the registry: a revoked device is refused within seconds
  sweep_ms: 60_000, // accounts that have earned their first shares since get their addresses
  wanted: 4096, // devices that have asked and are not bound yet; the first are forgotten
} as const;

export interface FollowOptions {
  /** Where the registry is. */
  readonly url: string;
  /** The hub's folder, for the copy. */
  readonly folder: string;
  readonly sequencer: Pick<Sequencer, 'state' | 'write' | 'leads'>;
  readonly clock: Clock;
  /** The other processes of this hub: whoever leads looks for devices that ask another one. */
  readonly post?: Post;
  onError(error: unknown, where: string): void;
}

export interface RegistryFollower {
  /** Looks at once for a device that asks; resolves to whether this log knows it then. */
  want(device: string): Promise<boolean>;
  /** Resolves when no look is under way. */
  close(): Promise<void>;
}

/** Follows from now on, until it is closed. A problem is told once, until it is another one or is over. */
export function followRegistry(options: FollowOptions): RegistryFollower {
  const { sequencer, clock, url, post = NO_POST } = options;
  const { state } = sequencer;
  const wanted = new Set<string>();
  const due = new Set<number>();
  const line = openLine();
  let copy: RegistryCopy | null = null;
  let head: SignedParts | null = null;
  let timer: Timer;
  let [closed, told] = [false, ''];
  let swept_ms = Number.NEGATIVE_INFINITY;

  const concerns = ({ type, key }: Named): boolean => {
    if (type === 'account.address') return [...state.runs.values()].some(({ shares }) => shares.has(key));
    return state.devices.has(key) || wanted.has(key);
  };
  const note = (named: Iterable<Named>): void => {
    for (const one of named) if (concerns(one)) due.add(one.index);
  };

  const read = async (): Promise<void> => {
    const there = await openHubLog(url, state.registry?.hub, line);
    copy ??= openRegistryCopy(options.folder, there.hub);
    const { size } = copy.log;
    // A process of the registry that follows another one may be behind what was seen before.
    if (!there.head || there.head.size < size) return;
    const entries: Uint8Array[] = [];
    for await (const { first, count, bundle } of there.pagesFrom(size)) {
      entries.push(...decodeEntryBundle(bundle, count).slice(Math.max(0, size - first)));
    }
    note(await copy.add(entries, there.head));
    head = takeApart(there.head.note, { id: there.hub, name: originOf(there.hub) });
    if (clock.elapsed_ms() - swept_ms < LIMITS.sweep_ms) return;
    swept_ms = clock.elapsed_ms();
    note(copy.all());
  };

  const look = async (): Promise<void> => {
    if (!sequencer.leads) return;
    try {
      await read();
      while (!closed && copy && head) {
        const body = nextSeen(state, { copy, head, url, due });
        if (!body) break;
        await sequencer.write(body);
        for (const { index } of body.facts) due.delete(index); // only now: a write that fails is made up for
      }
      told = '';
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      if (words !== told && !closed) options.onError(error, `following the registry at ${url}`);
      told = words;
    }
  };

  // One look after another; whoever asks during one is served by the next.
  let looking: Promise<void> = Promise.resolve();
  const lookAgain = (): Promise<void> => (looking = looking.then(() => (closed ? undefined : look())));
  const goOn = async (): Promise<void> => {
    await lookAgain();
    if (!closed) timer = clock.setTimeout(() => void goOn(), LIMITS.look_ms);
  };
  void goOn();
  const lookFor = (device: string): Promise<void> => {
    remember(wanted, device);
    if (copy) note(copy.named(device));
    return lookAgain();
  };
  post.listen((word) => {
    if (word.kind === 'wanted' && sequencer.leads && !state.devices.has(word.device)) void lookFor(word.device);
  });
  return {
    async want(device) {
      if (!sequencer.leads) return askLeader({ state, post }, device);
      if (state.devices.has(device) && copy?.named(device).every(({ index }) => !due.has(index))) {
        await lookAgain();
        return true;
      }
      await lookFor(device);
      return state.devices.has(device);
    },
    async close() {
      closed = true;
      clock.clearTimeout(timer);
      line.close();
      await looking;
      await copy?.close();
    },
  };
}

/** The last devices that have asked. */
function remember(wanted: Set<string>, device: string): void {
  wanted.delete(device);
  if (wanted.size === LIMITS.wanted) wanted.delete(wanted.values().next().value!);
  wanted.add(device);
}

/** At a process that follows: whether its log knows a device, which the leader is told of where it does not. Who asks comes again. */
export function askLeader(
  { state, post }: { readonly state: Pick<NetworkState, 'devices' | 'registry'>; readonly post: Pick<Post, 'send'> },
  device: string,
): boolean {
  const known = state.devices.has(device);
  if (!known && state.registry) post.send({ kind: 'wanted', device });
  return known;
}

/** What to write next; null for nothing. What cannot count here is forgotten. */
function nextSeen(
  state: NetworkState,
  known: {
    readonly copy: RegistryCopy;
    readonly head: SignedParts;
    readonly url: string;
    readonly due: Set<number>;
  },
): RegistrySeen | null {
  const { copy, head, url, due } = known;
  const { log, registry } = copy;
  const root = bytesToHex(head.root);
  const facts: Fact[] = [];
  const placed: PlacedEvent[] = [];
  for (const index of [...due].sort((a, b) => a - b)) {
    if (placed.length === LOGS_LIMITS.registry_facts) break;
    const one = { index, event: log.read(index, index + 1)[0], inclusion_proof: log.inclusionProof(index, head.size) };
    const fact = openFact(one, { size: head.size, root });
    if ('code' in fact || refusalOfFacts(state, registry, [...facts, fact])) {
      due.delete(index);
      continue;
    }
    facts.push(fact);
    placed.push(one);
  }
  // The first one fixes the registry, before anybody can name a device here.
  if (placed.length === 0 && state.registry) return null;
  return {
    ...{ type: 'registry.seen', version: 1, registry, url },
    head: { size: head.size, root, signature: bytesToHex(head.signature) },
    consistency: log.consistencyProof(state.registry?.size ?? 0, head.size),
    facts: placed,
  };
}
