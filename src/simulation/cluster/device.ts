// A device of a run on a hub of several processes: it is connected to one of them, joins where the log says that it has left, and moves when
// its process is silent. It hands in no work.
import type { EventBody } from '../../core/events.ts';
import { encodeMessage } from '../../protocol/encode-message.ts';
import { signEvent } from '../../protocol/envelope.ts';
import { decodeFromHub } from '../../protocol/from-hub.ts';
import { type Identity, identityFromSecret } from '../../protocol/identity.ts';
import { helloChallenge, PROTOCOL_VERSION } from '../../protocol/messages.ts';
import { type Random, seededRandom } from '../../protocol/random.ts';
import { type End, Line } from '../network.ts';
import { secretOf } from '../plan.ts';
import { Process, RIGHT_CLOCK } from '../virtual-time.ts';
import type { Machine, Site } from './machine.ts';

const AGAIN_MS = 300;
/** How often it asks whether its process is alive, and when it believes that it is not (src/peer/connection.ts has the same). */
const PING_MS = 2000;
const SILENT_MS = 6000;
const LATENCY_MS = 10;

export interface DeviceOptions {
  readonly site: Site;
  readonly name: string;
  readonly machines: readonly Machine[];
  readonly unreachable: ReadonlySet<string>;
  run(): string;
}

export class Device {
  readonly identity: Identity;
  /** Since when it is connected and told so; null while it is not. */
  here_since_ms: number | null = null;
  /** Where it is connected. */
  at: Machine | null = null;
  /** Whether its owner has switched it off for good. */
  off = false;
  readonly name: string;
  readonly #options: DeviceOptions;
  readonly #random: Random;
  readonly #process: Process;
  readonly #line: Line;
  #dialled: Machine | null = null;
  #heard_ms = 0;

  constructor(options: DeviceOptions) {
    const { site, name } = options;
    this.name = name;
    this.#options = options;
    this.identity = identityFromSecret(secretOf(site.seed, name));
    this.#random = seededRandom('device of a cluster', site.seed, name);
    this.#process = new Process(site.time, RIGHT_CLOCK);
    const link = {
      latency_ms: LATENCY_MS,
      jitter_ms: LATENCY_MS,
      bytes_per_ms: 1000,
      blocked_until_ms: 0,
      lost_permille: 0,
    };
    this.#line = new Line(site.time, this.#random, link, () => {
      const machine = this.#dialled;
      if (!machine?.isFront || options.unreachable.has(machine.name)) return null;
      return { process: machine.up!.process, accept: (channel) => machine.accept(channel) };
    });
    this.#dial();
  }

  /** Its owner pulls the plug. */
  switchOff(): void {
    this.#options.site.say(`${this.name} is switched off`);
    this.off = true;
    this.here_since_ms = null;
    this.#process.kill();
    this.#line.ended(this.#process, false);
  }

  /** A process has ended: the machine says so to whoever was connected to it. */
  ended(process: Process): void {
    this.#line.ended(process, false);
  }

  /** The line to its process is cut. */
  cut(): void {
    this.#line.cut();
  }

  #dial(): void {
    const fronts = this.#options.machines.filter(({ roles }) => roles.has('front'));
    const machine = fronts[this.#random.below(fronts.length)];
    this.#dialled = machine;
    const end = this.#line.dial(this.#process);
    this.#heard_ms = this.#options.site.time.now_ms;
    const pinging = (): void => {
      if (end.closed) return;
      if (this.#options.site.time.now_ms - this.#heard_ms > SILENT_MS) end.terminate();
      end.send(encodeMessage({ type: 'ping' }));
      this.#process.after(PING_MS, pinging);
    };
    this.#process.after(PING_MS, pinging);
    end.listen({
      onMessage: (frame) => {
        this.#heard_ms = this.#options.site.time.now_ms;
        this.#hear(end, machine, frame!).catch((error) => this.#options.site.fail(`${this.name}: ${String(error)}`));
      },
      onAlive() {},
      onError() {},
      onClose: () => {
        this.here_since_ms = null;
        this.at = null;
        this.#process.after(AGAIN_MS * (1 + this.#random.below(3)), () => this.#dial());
      },
    });
  }

  async #hear(end: End, machine: Machine, frame: Uint8Array): Promise<void> {
    const message = decodeFromHub(frame);
    const { site } = this.#options;
    const run = this.#options.run();
    if (message.type === 'challenge') {
      const signature = await this.identity.sign(helloChallenge(message.hub, message.nonce));
      end.send(
        encodeMessage({
          type: 'hello',
          protocol: PROTOCOL_VERSION,
          role: 'worker',
          run,
          peer: this.identity.id,
          signature,
        }),
      );
    }
    if (message.type === 'welcome') {
      if (this.at === null) {
        this.at = machine;
        this.here_since_ms = site.time.now_ms;
      }
      if (!message.present) end.send(encodeMessage({ type: 'event', event: await this.#join(run, message.session) }));
    }
    // A process that lags behind the log, or that has no leader now: it asks again whether it is present.
    if (message.type === 'refused') end.terminate();
  }

  #join(run: string, session: number): Promise<Uint8Array> {
    const body: EventBody = {
      ...{ type: 'peer.joined', version: 1, run, session, role: 'worker', name: this.name, runtime: 'native-cpu' },
    };
    return signEvent(this.identity, body);
  }
}
