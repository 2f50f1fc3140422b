// One process of a hub of several: it follows whoever leads, and leads when it gets the lease, until another process writes the log.
import type { FollowedLog } from '../../ledger/replica.ts';
import type { TransparencyLog } from '../../ledger/transparency-log.ts';
import type { Clock } from '../../protocol/clock.ts';
import { sleep } from '../../protocol/clock.ts';
import type { Fleet } from '../../protocol/fleet.ts';
import type { Models } from '../models.ts';
import type { Leader, Sequencer } from '../sequencer.ts';
import type { Pool } from '../serving/pool.ts';
import { askLeader } from './ask-leader.ts';
import type { Bus } from './bus.ts';
import { type CutOff, type CutOffOptions, openCutOff } from './cut-off.ts';
import { type FarRelay, type FarRelayOptions, openFarRelay } from './far-relay.ts';
import { type FarServing, openFarServing } from './far-serving.ts';
import { type Following, openFollowing } from './following.ts';
import { type Gateways, openGateways } from './gateways.ts';
import { openLeading } from './leading.ts';
import type { Held, Lease } from './lease.ts';
import { openLinks } from './links.ts';
import { askMergers, serveMerges } from './merging.ts';
import type { OwnFront } from './others.ts';
import { openPost, type Post } from './post.ts';
import { openPresence, type Presence } from './presence.ts';
import { subjectsOf } from './subjects.ts';
import { openTalk, type Talk } from './talk.ts';

/** What a process does beside following: may lead; takes devices and requests; makes merges. */
export const ROLES = ['sequencer', 'front', 'merger', 'gateway'] as const;
export type Role = (typeof ROLES)[number];

/** How long a process that was not able to take the lead waits before it tries again. */
const AGAIN_MS = 1000;

export interface MemberOptions {
  /** The id of the log's key. */
  readonly hub: string;
  readonly roles: ReadonlySet<Role>;
  readonly bus: Bus;
  readonly lease: Lease;
  readonly store: FollowedLog;
  readonly front: OwnFront;
  readonly clock: Clock;
  /** Asks another process that devices connect to; see CutOffOptions. */
  readonly askFront: CutOffOptions['ask'];
  /** Gets what may pass. */
  onError(error: unknown, where: string): void;
  /** This process cannot go on: its state or its log is not the journal's. It must end, and may start anew. */
  onBroken(error: unknown): void;
}

/** What a member needs of its process when everything is open. */
export interface Assembled {
  readonly log: TransparencyLog;
  readonly sequencer: Sequencer;
  readonly models: Pick<Models, 'merge'>;
  /** Starts what the leader alone does. Rejects where the log cannot be written. */
  lead(): Promise<void>;
  /** As HubCore has it: the leader names what others have seen. */
  letName<T>(hashes: readonly string[], work: () => Promise<T>): Promise<T>;
}

export type AroundRelay = Pick<FarRelayOptions, 'near' | 'isHere' | 'takesPart' | 'counts'>;

export interface Member {
  readonly leader: Leader;
  readonly presence: Presence;
  readonly talk: Talk;
  readonly cutOff: Pick<CutOff, 'lacked' | 'away' | 'onChange'>;
  /** The relay to devices of other processes, around that among this one's. */
  relayAround(parts: AroundRelay): FarRelay;
  /** What becomes of what devices that serve say: pools of all processes use them. */
  servingAround(pool: Pick<Pool, 'hear' | 'gone'>): FarServing;
  readonly post: Post;
  /** Whether callers ask this process. */
  readonly isGateway: boolean;
  /** What gateways tell each other. @param fleet of this process's pool */
  gateways(fleet: () => Fleet): Gateways;
  /** How merges are made when this process leads and does not make them itself; null: it does. */
  readonly merge: Models['merge'] | null;
  /** Catches up, follows, and waits for the lease. Rejects where the journal cannot be read. */
  begin(parts: Assembled): Promise<void>;
  /** This process ends: nobody waits any more for a leader that does not answer. */
  hurry(): void;
  /** Gives the lease back. Call it when this process writes nothing more. */
  close(): Promise<void>;
}

export function openMember(options: MemberOptions): Member {
  const { hub, roles, bus, store, clock, front, onError } = options;
  const subjects = subjectsOf(hub);
  const asked = askLeader(bus, subjects, clock);
  const presence = openPresence({ bus, subjects, clock, own: front, onError: (error) => onError(error, 'presence') });
  const talk = openTalk({
    ...{ bus, subjects, clock, instance: front.instance },
    onError: (error) => onError(error, 'what devices of other processes say'),
  });
  let sequencer: Sequencer | null = null;
  const cutOff = openCutOff({
    ...{ clock, bus, ask: options.askFront, leads: () => sequencer?.leads ?? false },
    journalSilent_ms: () => following?.journalSilent_ms() ?? 0,
    others: () => presence.fronts().flatMap(({ instance, url }) => (instance === front.instance || !url ? [] : [url])),
    catchUp: async () => following?.catchUp(),
  });
  const post = openPost({
    ...{ bus, subjects, instance: front.instance },
    onError: (error) => onError(error, 'letters and cosignatures of other processes'),
  });
  const isGateway = roles.has('gateway');
  const ending = new AbortController();
  const open: { close(): void }[] = [];
  let following: Following | null = null;
  let leading: Promise<void> = Promise.resolve();

  return {
    leader: { ...asked, catchUp: async () => following?.catchUp() },
    ...{ presence, talk, cutOff },
    relayAround: (parts) =>
      openFarRelay({
        ...{ ...parts, own: front.instance, bus, subject: subjects.relay, clock, frontOf: presence.frontOf },
        onError: (error) => onError(error, 'frames between devices'),
      }),
    ...{ post, isGateway },
    gateways: (fleet) =>
      openGateways({
        ...{ bus, subjects, clock, instance: front.instance, fleet: isGateway ? fleet : null },
        onError: (error) => onError(error, 'what gateways say'),
      }),
    servingAround: (pool) =>
      openFarServing({
        ...{ own: front, clock, fronts: presence.fronts, pool: isGateway ? pool : null },
        links: openLinks({
          ...{ own: front.instance, bus, subject: subjects.link, clock },
          onError: (error) => onError(error, 'serving among processes'),
        }),
      }),
    merge: roles.has('merger') ? null : askMergers(bus, subjects, () => store.size, clock),
    async begin(parts) {
      const { log } = parts;
      sequencer = parts.sequencer;
      log.headsFrom((least_size) => following!.head(least_size));
      following = openFollowing({
        ...{ store, log, sequencer, bus, subjects, clock, onBroken: options.onBroken },
        ...{ askHead: asked.head, onLeader: asked.heard },
        onError: (error) => onError(error, 'following the log'),
      });
      await following.catchUp();
      if (roles.has('merger')) {
        const of = { bus, subjects, instance: front.instance, clock, ...parts };
        open.push(serveMerges({ ...of, onError: (error) => onError(error, 'merging') }));
      }
      if (roles.has('sequencer')) leading = takeTurns(options, parts, following, ending.signal, open);
    },
    hurry: asked.hurry,
    async close() {
      ending.abort(new Error('this process ends'));
      await leading;
      cutOff.close();
      following?.close();
      for (const one of open) one.close();
      presence.close();
      talk.close();
      post.close();
    },
  };
}

/** Waits for the lease, and leads. Who leads goes on until it is fenced, also without a lease: only the journal says who may write. */
async function takeTurns(
  { hub, bus, lease, store, front, onError, clock }: MemberOptions,
  { log, sequencer, lead, letName }: Assembled,
  following: Following,
  signal: AbortSignal,
  open: { close(): void }[],
): Promise<void> {
  const subjects = subjectsOf(hub);
  let held: Held | null = null;
  while (!signal.aborted) {
    try {
      held = await lease.hold(front.instance, signal);
      if (!sequencer.leads) {
        await following.catchUp();
        store.lead();
        log.headsFrom(null);
        sequencer.lead();
        const { instance } = front;
        const of = { store, log, sequencer, bus, subjects, instance, letName };
        open.push(openLeading({ ...of, onError: (error) => onError(error, 'leading') }));
        await lead();
      }
      const { lost } = held;
      await new Promise<void>((resolve) => {
        for (const one of [lost, signal]) one.addEventListener('abort', () => resolve(), { once: true });
        if (lost.aborted || signal.aborted) resolve();
      });
    } catch (error) {
      if (signal.aborted) break;
      onError(error, 'taking the lead');
      await held?.release().catch(() => {});
      await sleep(clock, AGAIN_MS);
    }
  }
  await held?.release().catch(() => {});
}
