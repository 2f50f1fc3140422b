// One device in the simulated network: the real peer's session on its own clock, over a line that fails, with a disk that lasts.
import { CodedError } from '../errors.ts';
import type { AnyGame, Device } from '../games/game.ts';
import { LedgerError } from '../ledger/errors.ts';
import { verifyReceipt } from '../ledger/receipt.ts';
import type { PeerBlobs } from '../peer/blobs.ts';
import { takePart } from '../peer/session.ts';
import { sha256Hex } from '../protocol/hash.ts';
import type { Identity } from '../protocol/identity.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { seededRandom } from '../protocol/random.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { PeerDisk } from './disks.ts';
import type { Line } from './network.ts';
import type { PeerPlan } from './plan.ts';
import { type Tally, type TallyTask, tally } from './tally-game.ts';
import { Process } from './virtual-time.ts';
import type { World } from './world.ts';

/** As in the real peer: the number of tries of a request, and the first wait between two. */
const ATTEMPTS = 4;
const FIRST_WAIT_MS = 250;
const RETRY_MS = 1000;
const LEAVING_MS = 8000;
const NO_RUNTIME: Runtime = {
  class: 'wasm',
  load: () => Promise.reject(new Error('nothing is computed here')),
  close: async () => {},
};

export class SimulatedPeer {
  readonly plan: PeerPlan;
  readonly identity: Identity;
  readonly line: Line;
  /** Bytes of blobs that it has sent, by themselves or with an event, and fetched. */
  readonly traffic = { up_bytes: 0, down_bytes: 0 };
  readonly #world: World;
  readonly #disk = new PeerDisk();
  #process: Process | null = null;
  #leaving: AbortController | null = null;
  #starts = 0;

  constructor(world: World, plan: PeerPlan, identity: Identity, line: Line) {
    this.#world = world;
    this.plan = plan;
    this.identity = identity;
    this.line = line;
  }

  start(): void {
    if (this.#process) return;
    const process = new Process(this.#world.time, { offset_ms: this.plan.skew_ms, rate: this.plan.rate });
    const leaving = new AbortController();
    this.#process = process;
    this.#leaving = leaving;
    this.#starts++;
    this.#world.say(`${this.plan.name} starts`);
    void this.#live(process, leaving.signal);
  }

  /** The process ends now; `machineGone`: nobody says so to the hub. */
  crash(machineGone: boolean): void {
    const process = this.#process;
    if (!process) return;
    process.kill();
    this.line.ended(process, machineGone);
    this.#process = null;
  }

  /** The owner wants the device back. */
  leave(): void {
    const process = this.#process;
    this.#leaving?.abort();
    this.#world.time.after(LEAVING_MS, () => {
      if (process && this.#process === process)
        this.#world.fail(`${this.plan.name} did not leave within ${LEAVING_MS} ms`);
    });
  }

  /** Whether its disk contains its finding about a submission, so that the finding survives a power loss. */
  keeps(submission: string): boolean {
    return this.#disk.mentions(submission);
  }

  /** Verifies the limits of its connections. */
  look(limits: { readonly queued_bytes: number }): void {
    for (const { hub } of this.line.wires) {
      // The hub checks the limit before it sends a message, so the last message may exceed it.
      if (hub.most_queued_bytes > limits.queued_bytes + (64 << 10)) {
        this.#world.fail(`the hub keeps ${hub.most_queued_bytes} bytes for ${this.plan.name}`);
      }
    }
  }

  async #live(process: Process, signal: AbortSignal): Promise<void> {
    const { name, role } = this.plan;
    const world = this.#world;
    const random = seededRandom('simulated peer at work', world.plan.seed, name, this.#starts);
    const blobs = this.#blobs(process);
    while (!signal.aborted) {
      try {
        if (!world.run) {
          await process.wait(RETRY_MS / 4);
          continue;
        }
        const device: Device = {
          runtime: world.staging.runtime?.(process, this) ?? NO_RUNTIME,
          fetchBlob: blobs.fetch,
          drawer: this.#disk.openDrawer(process),
          progress: () => process.wait(this.plan.step_ms),
        };
        const ended = await takePart({
          run: world.run,
          run_name: 'simulated',
          hub: world.hubIdentity.id,
          role,
          name,
          identity: this.identity,
          game: this.#game(process, (bound) => random.below(bound)),
          params: world.setup.params,
          device,
          transport: {
            dial: () => this.line.dial(process),
            clock: process.clock,
            random: () => random.uint32() / 2 ** 32,
          },
          blobs,
          receipts: {
            keep: async (event, receipt) => {
              try {
                world.oracle.promised(event, verifyReceipt(receipt, event, world.hubIdentity.id).index);
              } catch (error) {
                if (error instanceof LedgerError)
                  world.fail(`${name} keeps a receipt that proves nothing: ${error.message}`);
                throw error;
              }
              await process.wait(1);
              this.#disk.receipts.push({ event, receipt });
            },
          },
          signal,
          onNews: (news) => {
            if (news.type === 'progress') return;
            const about = 'code' in news ? ` ${news.code}` : '';
            world.say(`${name}: ${news.type}${'round' in news ? ` ${news.round}` : ''}${about}`);
            if (news.type === 'problem') world.peerProblem(name, news.code, news.message);
          },
        });
        world.say(`${name} ${ended}`);
        break;
      } catch (error) {
        if (!(error instanceof CodedError)) world.problem(error, name);
        else world.say(`${name} stops: ${error.code}`);
        if (error instanceof CodedError && error.code === 'violated') world.fail(error.message);
        await process.wait(RETRY_MS);
      }
    }
    if (this.#process === process) this.#process = null;
  }

  /** The game of this device: it reports its model to the oracle, and sometimes invents its work. */
  #game(process: Process, below: (bound: number) => number): AnyGame {
    const { staging, setup } = this.#world;
    const game = setup.game === tally ? this.#tally(below) : setup.game;
    return staging.playedBy?.(this, game, process) ?? game;
  }

  #tally(below: (bound: number) => number): AnyGame {
    const { oracle, bug } = this.#world;
    return {
      ...((this.plan.role === 'validator' && bug?.judges) || tally),
      task: (params, round, peer, state: Tally) => {
        oracle.claimed(this.plan.name, round.number, sha256Hex(tally.encodeState(params, state)));
        return tally.task(params, round, peer, state);
      },
      perform: async (task: TallyTask, device, signal) => {
        const claim = await tally.perform(task, device, signal);
        if (claim && below(100) < this.plan.lies_percent) claim.work[10] ^= 1;
        return claim;
      },
    };
  }

  #blobs(process: Process): PeerBlobs {
    const { cache } = this.#disk;
    const { traffic } = this;
    const world = this.#world;
    const services = () => {
      if (!world.hub) throw new Error('no hub is there');
      return world.hub.place;
    };
    const persist = async <T>(size_bytes: number, request: () => Promise<T>): Promise<T> => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.line.request(process, size_bytes, request);
        } catch (error) {
          if (error instanceof PeerError) throw error;
          if (attempt === ATTEMPTS) throw new PeerError('hub-unreachable', `no answer ${attempt} times`);
        }
        await process.wait(FIRST_WAIT_MS * 2 ** attempt);
      }
    };
    const upload: PeerBlobs['upload'] = async (bytes) => {
      const copy = bytes.slice();
      traffic.up_bytes += copy.length;
      return persist(copy.length, async () => {
        const { services: hub, unnamed } = services();
        const who = { peer: this.identity.id, address: null };
        try {
          unnamed.mustFit(who, copy.length);
        } catch (error) {
          throw new PeerError('refused', (error as Error).message, { refusal: 'too-much' });
        }
        const hash = await hub.blobs.put(copy);
        unnamed.add(who, hash, copy.length);
        return hash;
      });
    };
    return {
      async fetch(hash) {
        const kept = cache.get(hash);
        if (kept) return kept.slice();
        const bytes = await persist(200, async () => services().services.blobs.get(hash));
        if (!bytes) throw new PeerError('bad-blob', `the hub has no blob ${hash}`);
        if (sha256Hex(bytes) !== hash) throw new PeerError('bad-blob', `expected ${hash}`);
        cache.set(hash, bytes);
        traffic.down_bytes += bytes.length;
        return bytes.slice();
      },
      upload,
      async handOver(bytes) {
        if (bytes.length > WIRE_LIMITS.enclosed_bytes) return { hash: await upload(bytes), enclosed: null };
        traffic.up_bytes += bytes.length;
        return { hash: sha256Hex(bytes), enclosed: bytes.slice() };
      },
      has: (hash) => persist(200, async () => services().services.blobs.has(hash)),
      renew() {},
      close() {},
    };
  }
}
