// A machine of a simulated hub of several processes: its copy of the log, and one process of the hub after the other, as `potluck hub` starts them.

import { CodedError } from '../../errors.ts';
import type { FrontsWord } from '../../hub/cluster/cut-off.ts';
import type { Lease } from '../../hub/cluster/lease.ts';
import { type Member, openMember, type Role } from '../../hub/cluster/member.ts';
import type { MemoryEngine } from '../../hub/cluster/memory-bus.ts';
import { CONNECTION_LIMITS } from '../../hub/connection.ts';
import { type HubCore, openHubCore } from '../../hub/hub-core.ts';
import type { BlobStore } from '../../ledger/blob-store.ts';
import { LedgerError, type LedgerErrorCode } from '../../ledger/errors.ts';
import type { LocalLog } from '../../ledger/local-log.ts';
import { openObjectJournal } from '../../ledger/object-journal.ts';
import { openFollowedLog } from '../../ledger/replica.ts';
import { createMemoryLocalLog } from '../../ledger/testing/memory-log.ts';
import { openTransparencyLog, type TransparencyLog } from '../../ledger/transparency-log.ts';
import type { Channel } from '../../protocol/channel.ts';
import type { Clock } from '../../protocol/clock.ts';
import type { DrawingIdentity } from '../../protocol/identity.ts';
import { type Random, seededRandom } from '../../protocol/random.ts';
import { tally } from '../tally-game.ts';
import { RIGHT_CLOCK, type VirtualTime } from '../virtual-time.ts';
import type { SharedJournal } from './shared-journal.ts';
import { StoppableProcess } from './stopped-process.ts';

/** What all machines of a hub share. */
export interface Site {
  readonly seed: number;
  readonly time: VirtualTime;
  readonly identity: DrawingIdentity;
  readonly journal: SharedJournal;
  readonly blobs: BlobStore;
  readonly engine: MemoryEngine;
  lease(machine: string, clock: Clock, random: () => number): Lease;
  /** What a process hears of another one that it asks. */
  askFront(asker: StoppableProcess, url: string): Promise<FrontsWord>;
  say(what: string): void;
  fail(what: string): void;
}

/** A process that is open. */
export interface Up {
  readonly process: StoppableProcess;
  readonly core: HubCore;
  readonly log: TransparencyLog;
  readonly member: Member;
}

/** What a process starts again after (src/cli/hub-cluster.ts). */
const PASSES: readonly LedgerErrorCode[] = ['fenced', 'write-failed', 'journal-unreachable'];
const AGAIN_MS = 1000;
/** A process that has failed is closed for so long at most. */
const CLOSING_MS = 15_000;

export class Machine {
  readonly name: string;
  readonly roles: ReadonlySet<Role>;
  /** null while no process is open. */
  up: Up | null = null;
  /** Whether somebody keeps it from starting. */
  off = true;
  /** When it was opened last. */
  since_ms = 0;
  /** How many processes have begun here. */
  starts = 0;
  /** How often the journal has told one of them that another writes. */
  fenced = 0;
  /** Whether the bus is out of its reach. */
  cut_off = false;
  readonly #site: Site;
  readonly #random: Random;
  #copy = createMemoryLocalLog();
  #process: StoppableProcess | null = null;

  constructor(site: Site, name: string, roles: readonly Role[]) {
    this.#site = site;
    this.name = name;
    this.roles = new Set(roles);
    this.#random = seededRandom('machine of a cluster', site.seed, name);
  }

  get leads(): boolean {
    return this.up?.core.sequencer.leads === true && this.up.process.alive;
  }

  get stopped(): boolean {
    return this.#process?.stopped === true;
  }

  /** Whether this process, open or about to open, is this machine's. */
  runs(process: StoppableProcess): boolean {
    return this.#process === process;
  }

  /** Whether devices and senders are answered. */
  get isFront(): boolean {
    return this.roles.has('front') && this.up !== null;
  }

  accept(channel: Channel): void {
    const { process, core } = this.up!;
    core.connections.accept(process.holding(channel), null);
  }

  start(): void {
    this.off = false;
    if (this.#process) return;
    const process = new StoppableProcess(this.#site.time, RIGHT_CLOCK);
    this.#process = process;
    this.starts++;
    this.#open(process).catch((error) => this.#failed(process, error));
  }

  stop(): void {
    if (this.#process) this.#site.say(`${this.name} is stopped`);
    this.#process?.stop();
  }

  goOn(): void {
    this.#process?.goOn();
  }

  /** SIGKILL, or a power cut that takes the machine's copy of the log with it. It stays off until somebody starts it. */
  kill(losesCopy: boolean): void {
    this.off = true;
    this.#site.say(`${this.name} is killed${losesCopy ? ', and its copy is lost' : ''}`);
    this.#end();
    if (losesCopy) this.#copy = createMemoryLocalLog();
  }

  /** Somebody asks it to end (SIGTERM). It stays off until somebody starts it. */
  close(): void {
    const { up } = this;
    this.off = true;
    this.#site.say(`${this.name} is asked to end`);
    up?.member.hurry();
    // It may have been started again meanwhile.
    if (up) this.#closed(up, () => this.off || this.start());
    else this.#end();
  }

  #end(): void {
    this.#process?.kill();
    this.#process = null;
    this.up = null;
    this.#site.engine.gone(this.name);
  }

  async #open(process: StoppableProcess): Promise<void> {
    const { identity, engine, journal, blobs, time } = this.#site;
    const { clock } = process;
    const { name, roles } = this;
    const instance = `${name}-${this.starts}`;
    const random = (): number => this.#random.uint32() / 2 ** 32;
    const onError = (error: unknown, where: string): void => this.#problem(process, error, where);
    const objects = openObjectJournal(journal.at(name, process), { wait: (ms) => process.wait(ms) });
    const soon = (run: () => void): void => void process.after(0, run);
    const store = await openFollowedLog(copyOf(this.#copy, process), objects, { soon });
    const log = openTransparencyLog(store, identity);
    const bus = engine.open(name, clock, (error) => onError(error, 'the bus'));
    engine.reach(name, !this.cut_off);
    const member = openMember({
      ...{ hub: identity.id, roles, bus, lease: this.#site.lease(name, clock, random), store, clock, onError },
      askFront: (url) => this.#site.askFront(process, url),
      front: { instance, url: () => (roles.has('front') ? `http://${name}` : null), region: null },
      onBroken: (error) => this.#failed(process, error),
    });
    const core = await openHubCore({
      ...{ identity, log, blobs, clock, limits: CONNECTION_LIMITS, member, onError },
      randomBytes: (length) => Uint8Array.from({ length }, () => this.#random.below(256)),
      loadGame: async () => tally,
      onCondition: ({ state }, error) => {
        if (state === 'log-failed') this.#failed(process, error);
      },
    });
    if (!process.alive) return;
    core.begin();
    await member.begin({ ...core, log });
    if (!process.alive || this.#process !== process) return;
    this.up = { process, core, log, member };
    this.since_ms = time.now_ms;
    this.#site.say(`${instance} is open with ${log.size} entries`);
  }

  #problem(process: StoppableProcess, error: unknown, where: string): void {
    if (!process.alive) return;
    this.#site.say(`${this.name}: ${where}: ${String(error)}`);
    if (!(error instanceof CodedError)) {
      this.#site.fail(`${this.name}: ${where}: ${error instanceof Error ? error.stack : String(error)}`);
    }
  }

  /** The process cannot go on: it is closed, and another one starts, where that may help. */
  #failed(process: StoppableProcess, error: unknown): void {
    if (!process.alive || this.#process !== process) return;
    const { up } = this;
    this.#site.say(`${this.name} fails: ${String(error)}`);
    if (!(error instanceof LedgerError && PASSES.includes(error.code))) {
      this.#site.fail(`${this.name} ends for good: ${error instanceof Error ? error.stack : String(error)}`);
    }
    if (error instanceof LedgerError && error.code === 'fenced') {
      this.fenced++;
      const { number } = error.details;
      const object = `batch/${String(number).padStart(16, '0')}`;
      if (this.#site.journal.writers.get(object) === process) {
        this.#site.fail(
          `${this.name} says that another process has written batch ${String(number)}, which it wrote itself`,
        );
      }
    }
    const again = (): void => void this.#site.time.after(AGAIN_MS, () => this.off || this.start());
    if (up) {
      this.#closed(up, again);
    } else {
      this.#end();
      again();
    }
  }

  /** Closes a process, as far as it lets itself be closed. */
  #closed({ process, member, core }: Up, then: () => unknown): void {
    this.up = null;
    const end = (): void => {
      if (this.#process !== process) return;
      this.#end();
      then();
    };
    this.#site.time.after(CLOSING_MS, end);
    member
      .close()
      .then(() => core.close())
      .then(end, end);
  }
}

/** The copy as a process has it: nothing is kept after its end. */
function copyOf(kept: LocalLog, process: StoppableProcess): LocalLog {
  return {
    ...kept,
    get end() {
      return kept.end;
    },
    take(batch) {
      if (process.alive) kept.take(batch);
    },
    putDerived(key, bytes) {
      if (process.alive) kept.putDerived(key, bytes);
    },
    // The memory outlives the process, as a file does.
    close() {},
  };
}
