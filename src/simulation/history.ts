// One simulated history: a world with its devices and people, and a seeded plan of faults.
import type { Identity } from '../protocol/identity.ts';
import { seededRandom } from '../protocol/random.ts';
import { end, flap, moveShares, ownRun, pause, replay, resumeHalted } from './actors.ts';
import type { Bug } from './bugs.ts';
import { Line } from './network.ts';
import { FAULTS_WITHIN_MS, type Fault, type PeerPlan, type Plan } from './plan.ts';
import { SimulatedPeer } from './simulated-peer.ts';
import { type Outcome, type Staging, World } from './world.ts';

const RESTART_MS = 200;
/** Disconnected peers come back within the longest wait between two connections. */
const PEERS_BACK_MS = 15_000;
/** After a full disk the waiting tick is written first, with its old time; the next tick is right, and comes within one interval. */
const NEXT_TICK_MS = 6000;

export class History extends World {
  constructor(plan: Plan, bug: Bug | null, staging?: Staging) {
    super(plan, bug, staging);
    for (const planned of this.planned) this.enlist(planned.plan, planned.identity);
  }

  enlist(plan: PeerPlan, identity: Identity): SimulatedPeer {
    const { latency_ms, jitter_ms, bytes_per_ms } = plan;
    const link = { latency_ms, jitter_ms, bytes_per_ms, blocked_until_ms: 0, lost_permille: 0 };
    const line = new Line(this.time, seededRandom('simulated line', this.plan.seed, plan.name), link, () => this.hub);
    const peer = new SimulatedPeer(this, plan, identity, line);
    this.peers.push(peer);
    return peer;
  }

  async play(): Promise<Outcome> {
    const onUnhandled = (error: unknown): void => this.problem(error, 'a promise that nobody waits for');
    process.on('unhandledRejection', onUnhandled);
    try {
      this.startHub();
      void ownRun(this);
      if (this.plan.run.diverges) void resumeHalted(this);
      const validators = this.peers.filter(({ plan }) => plan.role === 'validator').map(({ identity }) => identity);
      const { ended_at_ms } = this.plan.run;
      if (ended_at_ms !== null) this.time.after(ended_at_ms, () => void end(this));
      if (this.plan.run.moves_shares && validators.length > 0) void moveShares(this, validators);
      for (const peer of this.peers) this.time.after(peer.plan.joins_ms, () => peer.start());
      for (const fault of this.plan.faults) this.time.after(fault.at_ms, () => this.#strike(fault));
      const { rounds, round_ms, judging_ms } = this.plan.run;
      const until_ms = FAULTS_WITHIN_MS + 90_000 + rounds * 2 * (round_ms + judging_ms + 2000);
      while (!this.failure && !this.over() && (await this.time.step(until_ms))) await this.look();
      if (!this.failure && !this.over()) {
        const run = this.seenRun();
        this.fail(
          `the run is not finished after ${until_ms} ms: ${run ? `${run.phase} ${run.round}.${run.attempt}` : 'no run'}`,
        );
      }
      return this.outcome();
    } finally {
      process.off('unhandledRejection', onUnhandled);
      this.hubProcess?.kill();
      for (const peer of this.peers) peer.crash(false);
    }
  }

  #strike(fault: Fault): void {
    const peer = this.peers[fault.peer % this.peers.length];
    const { duration_ms } = fault;
    const about = ['hub-crash', 'hub-stop', 'slow-disk', 'full-disk', 'replay', 'pause', 'flap', 'clock-set'].includes(
      fault.kind,
    )
      ? ''
      : ` ${peer.plan.name}`;
    const size = fault.kind === 'clock-set' ? `by ${fault.by_ms} ms` : `for ${duration_ms} ms`;
    this.say(`fault: ${fault.kind}${about} ${size}`);
    const { link } = peer.line;
    switch (fault.kind) {
      case 'hub-crash':
        this.crashHub(duration_ms % 1000 === 0);
        this.time.after(RESTART_MS + duration_ms, () => this.startHub());
        return;
      case 'hub-stop':
        void this.stopHub();
        this.time.after(RESTART_MS + 2000 + duration_ms, () => this.startHub());
        return;
      case 'full-disk':
        this.disk.full = true;
        this.fullDiskUntil_ms = this.time.now_ms + duration_ms + NEXT_TICK_MS;
        this.slowDiskUntil_ms = this.time.now_ms + duration_ms + PEERS_BACK_MS;
        this.time.after(duration_ms, () => {
          this.disk.full = false;
        });
        return;
      case 'slow-disk': {
        const { speed } = this.disk;
        const before = { ...speed };
        Object.assign(speed, { commit_ms: 400, jitter_ms: 300 });
        this.slowDiskUntil_ms = this.time.now_ms + duration_ms + 1000;
        this.time.after(duration_ms, () =>
          Object.assign(speed, {
            commit_ms: this.plan.commit_ms,
            jitter_ms: before.jitter_ms && this.plan.commit_jitter_ms,
          }),
        );
        return;
      }
      case 'peer-crash':
      case 'peer-power':
        peer.crash(fault.kind === 'peer-power');
        this.time.after(RESTART_MS + duration_ms, () => peer.start());
        return;
      case 'peer-leave':
        peer.leave();
        this.time.after(RESTART_MS + 8000 + duration_ms, () => peer.start());
        return;
      case 'cut':
        peer.line.cut();
        return;
      case 'partition':
        peer.line.block(duration_ms);
        return;
      case 'slow-link':
        Object.assign(link, { latency_ms: peer.plan.latency_ms + 600, bytes_per_ms: 2 });
        this.time.after(duration_ms, () =>
          Object.assign(link, { latency_ms: peer.plan.latency_ms, bytes_per_ms: peer.plan.bytes_per_ms }),
        );
        return;
      case 'lossy':
        link.lost_permille = 300;
        this.time.after(duration_ms, () => {
          link.lost_permille = 0;
        });
        return;
      case 'replay':
        void replay(this, this.random);
        return;
      case 'pause':
        void pause(this, duration_ms);
        return;
      case 'clock-set':
        this.hubClock.offset_ms += fault.by_ms;
        return;
      case 'flap':
        void flap(this, duration_ms + 10_000);
        return;
    }
  }
}
