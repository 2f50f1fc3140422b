// The messages to peers about their runs: urgent ones at once, the others together a moment later.
import type { PeerRole } from '../core/events/peer-joined.ts';
import type { EventBody, LoggedEvent } from '../core/events.ts';
import type { NetworkState, RunState } from '../core/state.ts';
import { assert } from '../errors.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import { encodeMessage } from '../protocol/encode-message.ts';
import type { Connection } from './connection.ts';
import { ownView, runView, type TimeLeft } from './views.ts';
import { openWorkNews } from './work-news.ts';

/** The receivers of a change: all peers or all validators, at once or soon, together with further changes. */
export type Audience = 'all' | 'all-soon' | 'validators' | 'validators-soon';

/** The parts of a run that decide who gets a change. */
export interface Outline {
  /** What every peer acts on. */
  readonly stage: string;
  /** What its validators act on besides: the judges of each submission, of whom a tick may replace silent ones, and how far judging is. */
  readonly seats: string;
}

/** From the end of a round's work until its merge a worker has nothing to do with it, so that it is not told each step: there may be thousands. */
const stageOf = ({ phase }: RunState): string => (phase === 'revealing' || phase === 'merging' ? 'judging' : phase);

export const outlineOf = (run: RunState): Outline => ({
  stage: `${stageOf(run)} ${run.round} ${run.attempt} ${run.model}`,
  seats: `${run.phase} ${run.draw} ${run.replaced}`,
});

/** What the event's author knows, and others need not: of work, judges are told when its list is closed; of verdicts, when all are there. */
const isOwnMatter = (body: EventBody): boolean =>
  body.type === 'work.submitted' ||
  ((body.type === 'verdict.sealed' || body.type === 'verdict.given') && body.contest === undefined);

/**
 * The receivers of a change: every peer if it may have to act; validators also hear who is there, and of contests. null: nobody.
 * @param is_concerned whether the event was about this run, and not its author's own matter; time moves all runs
 * @param roster_changed whether others hold the stages of the model now
 */
export function audienceOf(
  before: Outline | undefined,
  now: Outline,
  is_concerned: boolean,
  roster_changed = false,
): Audience | null {
  if (before?.stage !== now.stage) return 'all';
  if (roster_changed) return before.seats === now.seats ? 'all-soon' : 'all';
  if (before.seats !== now.seats) return 'validators';
  return is_concerned ? 'validators-soon' : null;
}

/** Whether an event changes who holds which stage of a run's model: a worker has come or gone. At an opening all are told anyway. */
function changesRoster({ spec, peers }: RunState, body: EventBody): boolean {
  if (spec.stages === undefined) return false;
  if (body.type === 'peer.joined') return body.role === 'worker';
  return body.type === 'peer.left' && peers.get(body.peer)?.role !== 'validator'; // it may be forgotten already
}

/** Watches the runs of a state: for each accepted event, which runs have changed for whom. */
export function watchRuns({ runs }: Pick<NetworkState, 'runs'>): (event: LoggedEvent) => [RunState, Audience][] {
  const outlines = new Map<string, Outline>();
  return ({ id, body }) => {
    const concerned = runs.get('run' in body ? body.run : id);
    const moved = body.type === 'tick' ? [...runs.values()].filter(({ phase }) => phase !== 'finished') : [concerned];
    return moved.flatMap((run): [RunState, Audience][] => {
      if (!run) return [];
      const now = outlineOf(run);
      const is_concerned = run === concerned;
      const roster_changed = is_concerned && changesRoster(run, body);
      const audience = audienceOf(outlines.get(run.id), now, is_concerned && !isOwnMatter(body), roster_changed);
      outlines.set(run.id, now);
      return audience ? [[run, audience]] : [];
    });
  };
}

/** Who comes is told of a run as it was so long ago at most; what one has to act on is told at once all the same. */
const RECENT_MS = 50;

export interface RunNewsOptions {
  readonly clock: Clock;
  readonly time: TimeLeft;
  /** How long news is collected. */
  readonly soon_ms: number;
  inRun(run: string, role: PeerRole): Iterable<Connection>;
}

export interface RunNews {
  /** Tells one peer about its run as it is now. */
  tell(run: RunState, connection: Connection): void;
  announce(run: RunState, audience: Audience): void;
  close(): void;
}

/** News of a run that waits for further news. */
interface Pending {
  readonly timer: Timer;
  roles: readonly PeerRole[];
}

const ROLES: Readonly<Record<Audience, readonly PeerRole[]>> = {
  all: ['worker', 'validator'],
  'all-soon': ['worker', 'validator'],
  validators: ['validator'],
  'validators-soon': ['validator'],
};

export function openRunNews({ clock, time, soon_ms, inRun }: RunNewsOptions): RunNews {
  /** By run. */
  const pending = new Map<string, Pending>();
  const work = openWorkNews<Connection>();
  const recent = new Map<string, { readonly made_ms: number; readonly frameFor: (to: Connection) => Uint8Array }>();

  /** Frames of a run as it is now, encoded once for all peers that get the same. */
  const framesOf = (run: RunState): ((to: Connection) => Uint8Array) => {
    const frames = new Map<string, Uint8Array>();
    return ({ role, peer, run: of }) => {
      assert(of === run.id, 'a peer hears of the run that it takes part in');
      assert(role === 'worker' || role === 'validator', 'only who takes part hears of a run like this');
      const own = role === 'worker' ? ownView(run, peer!) : {};
      const key = `${role} ${JSON.stringify(own)}`;
      const frame = frames.get(key) ?? encodeMessage({ type: 'run', view: runView(run, time, role, own) });
      frames.set(key, frame);
      return frame;
    };
  };
  /** As above, for those who come one after the other, as thousands do after a restart. */
  const recentFramesOf = (run: RunState): ((to: Connection) => Uint8Array) => {
    const now_ms = clock.elapsed_ms();
    const kept = recent.get(run.id);
    if (kept && now_ms - kept.made_ms < RECENT_MS) return kept.frameFor;
    const frameFor = framesOf(run);
    recent.set(run.id, { made_ms: now_ms, frameFor });
    return frameFor;
  };
  const send = (run: RunState, connection: Connection, frameFor: (to: Connection) => Uint8Array): void => {
    if (connection.role === 'validator') {
      for (const frame of work.framesFor(run, connection)) connection.send(frame);
    }
    connection.send(frameFor(connection));
  };
  /** These roles hear everything now; what waits is for the others alone. */
  const settle = (run: RunState, roles: readonly PeerRole[]): void => {
    const waiting = pending.get(run.id);
    if (!waiting) return;
    waiting.roles = waiting.roles.filter((role) => !roles.includes(role));
    if (waiting.roles.length > 0) return;
    clock.clearTimeout(waiting.timer);
    pending.delete(run.id);
  };
  const collect = (run: RunState, roles: readonly PeerRole[]): void => {
    const waiting = pending.get(run.id);
    if (waiting) {
      waiting.roles = [...new Set([...waiting.roles, ...roles])];
      return;
    }
    const timer = clock.setTimeout(() => tellAll(run, pending.get(run.id)!.roles), soon_ms);
    pending.set(run.id, { timer, roles });
  };
  const tellAll = (run: RunState, roles: readonly PeerRole[]): void => {
    settle(run, roles);
    const frameFor = framesOf(run);
    for (const role of roles) for (const connection of inRun(run.id, role)) send(run, connection, frameFor);
  };

  return {
    tell: (run, connection) => send(run, connection, recentFramesOf(run)),
    announce(run, audience) {
      const is_urgent = audience === 'all' || audience === 'validators';
      if (audience !== 'validators-soon') recent.delete(run.id);
      (is_urgent ? tellAll : collect)(run, ROLES[audience]);
    },
    close() {
      for (const { timer } of pending.values()) clock.clearTimeout(timer);
    },
  };
}
