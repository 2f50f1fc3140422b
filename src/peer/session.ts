// A device's part in one run, on any clock and transport: a connection, a model, and a role that acts on every change of the run.
import type { HeadKeeper } from '../audit/seen-heads.ts';
import type { PeerRole } from '../core/events/peer-joined.ts';
import type { EventBody } from '../core/events.ts';
import type { CodedError } from '../errors.ts';
import type { AnyGame, Device } from '../games/game.ts';
import type { Receipt } from '../ledger/receipt.ts';
import type { Receipts } from '../ledger/receipts.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import type { Identity } from '../protocol/identity.ts';
import type { RunView, Welcome } from '../protocol/messages.ts';
import type { PeerBlobs } from './blobs.ts';
import { connectToHub, type HubConnection, type Transport } from './connection.ts';
import { HeldStages } from './held-stages.ts';
import { LEAVING_LIMITS, untilLeft } from './leaving.ts';
import { followModel } from './model.ts';
import { openRelayChannel, type RelayChannel } from './relay-channel.ts';
import type { PeerNews, Role, RoleContext } from './role.ts';
import type { SeenRun } from './round-work.ts';
import { openServingPart, type ServeOptions, type ServingPart } from './serving-part.ts';
import { planAfterActing, planAfterBinding, planAfterJoining, planSession } from './session-plan.ts';
import { openStatus, type Pauses, type Status } from './status.ts';
import { submitEvent } from './submitting.ts';
import { validatorRole } from './validator.ts';
import { workerRole } from './worker.ts';

/** After this time a role that failed for a passing cause acts again, unless something newer is to be done. */
const AGAIN_MS = 10_000;

export interface SessionOptions {
  readonly run: string;
  readonly run_name: string;
  /** The hub's id. */
  readonly hub: string;
  readonly role: PeerRole;
  readonly name: string;
  readonly identity: Identity;
  readonly game: AnyGame;
  readonly params: unknown;
  readonly device: Device;
  readonly transport: Transport;
  readonly blobs: PeerBlobs;
  readonly receipts: Receipts;
  /** What this device has seen of the hub's log; without it nothing is compared. */
  readonly heads?: HeadKeeper;
  /** Done once, before this peer joins, so that nothing is ever earned for the wrong account. */
  readonly bind?: (submit: RoleContext['submit']) => Promise<unknown>;
  /** See RoleContext. */
  readonly pledge?: RoleContext['pledge'];
  readonly publicLog?: RoleContext['publicLog'];
  /** Missing: it serves nobody. */
  readonly serve?: ServeOptions;
  /** Asked where the run is finished here, by whoever only serves: whether it goes on at another hub. Missing: it stays. */
  readonly hasMoved?: () => Promise<boolean>;
  /** What the hub is to learn of pauses. */
  readonly pauses?: Pauses;
  /** Fires when the owner wants the device back: the device submits what is done, then leaves. */
  readonly signal: AbortSignal;
  readonly onNews?: (news: PeerNews) => void;
  readonly onView?: (view: RunView) => void;
}

/** Resolves when the run is finished or the owner's signal was followed. Throws PeerError, GameError, ProtocolError. */
export async function takePart(options: SessionOptions): Promise<'finished' | 'left'> {
  return new Session(options).run();
}

/** Acts on the decisions of session-plan.ts. */
class Session {
  readonly #options: SessionOptions;
  readonly #clock: Clock;
  readonly #status: Status;
  readonly #role: Role;
  readonly #serving: ServingPart | null;
  readonly #channel: RelayChannel | null;
  readonly #connection: HubConnection;
  #newest: SeenRun | null = null;
  readonly #heldStages = new HeldStages();
  #acted: SeenRun | null = null;
  #finished = false;
  #failure: CodedError | null = null;
  /** Ends the wait for something new. */
  #wake = (): void => {};
  /** The device's owner was asked for a certificate. */
  #bound: Promise<void> | undefined;
  /** The number of the current connection. */
  #number = 0;

  constructor(options: SessionOptions) {
    const { run, identity, game, params, blobs, role, transport, signal } = options;
    this.#options = options;
    this.#clock = transport.clock;
    const tell = (news: PeerNews): void => this.#tell(news);
    this.#status = openStatus(role, this.#clock, (progress) => this.#connection.progress(progress), tell);
    this.#channel = game.needs?.includes('channel') ? this.#openChannel() : null;
    const device = this.#channel ? { ...options.device, channel: this.#channel } : options.device;
    const context: RoleContext = {
      run,
      identity,
      game,
      params,
      device,
      clock: this.#clock,
      blobs,
      model: followModel(game, params, blobs, role === 'validator' ? 'merge' : 'follow'),
      pledge: options.pledge,
      publicLog: options.publicLog,
      submit: (body, enclosed) => this.#submit(body, enclosed),
      tell,
      progress: this.#status.progress,
      heldUp: this.#status.heldUp,
      sample: (sample) => this.#connection.sample(sample),
    };
    const { serve } = options;
    if (serve?.only) this.#role = NO_ROLE;
    else this.#role = role === 'worker' ? workerRole(context) : validatorRole(context);
    this.#serving = serve ? this.#openServing(serve, context) : null;
    // Both the owner's signal and a view must wake a waiting role.
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    signal.addEventListener('abort', () => this.#serving?.paused(true), { once: true });
    options.heads?.onFork((fork) => this.#end(fork));
    this.#connection = this.#connect();
  }

  async run(): Promise<'finished' | 'left'> {
    const { heads, signal } = this.#options;
    const deaf = this.#options.pauses?.((pause) => {
      this.#serving?.paused(pause !== null || signal.aborted);
      this.#status.paused(pause);
    });
    try {
      for (;;) {
        const [newest, acted, finished, failure] = [this.#newest, this.#acted, this.#finished, this.#failure];
        const next = planSession({ newest, acted, finished, failure, leaving: signal.aborted });
        if (next.do === 'fail') throw next.error;
        if (next.do === 'act') await this.#act(next.view);
        if (next.do === 'wait') await this.#untilWoken();
        if (next.do !== 'leave') continue;
        if (!this.#onlyServes) await this.#sayGoodbye();
        return signal.aborted ? 'left' : 'finished';
      }
    } finally {
      deaf?.();
      await this.#serving?.close();
      this.#connection.close();
      this.#channel?.away();
      await heads?.close();
    }
  }

  #connect(): HubConnection {
    const { transport, hub, run, role, identity } = this.#options;
    const problem = (code: string, message: string): void => this.#tell({ type: 'problem', code, message });
    return connectToHub({
      transport,
      hub,
      run,
      role,
      identity,
      onWelcome: (welcome) => this.#onWelcome(welcome),
      onRun: (view) => this.#onRun(view),
      onServe: (message) => this.#serving?.hear(message),
      onRelay: (message) => this.#channel?.hear(message),
      onAway: (reason) => {
        this.#channel?.away();
        this.#serving?.away();
        this.#tell({ type: 'away', reason });
      },
      onBlocked: (reason) => problem('no-websocket', blockedWords(reason)),
      onYield: (wait_ms) => {
        this.#channel?.away();
        this.#newest = null;
        this.#heldStages.away();
        this.#status.saw(null);
        this.#role.drop();
        problem('key-in-use', yieldWords(wait_ms));
      },
      onFatal: (error) => this.#end(error),
    });
  }

  get #onlyServes(): boolean {
    return this.#options.serve?.only === true;
  }

  #openChannel(): RelayChannel {
    const { run, identity, transport } = this.#options;
    return openRelayChannel({
      ...{ run, identity, clock: this.#clock, random: () => transport.random() },
      stages: () => this.#heldStages.stages,
      proven: () => this.#heldStages.proven,
      held: () => this.#heldStages.held,
      send: (message) => this.#connection.relay(message),
      onProblem: (code, message) => this.#tell({ type: 'problem', code, message }),
    });
  }

  #openServing(serve: ServeOptions, { identity, game, params, device, model }: RoleContext): ServingPart {
    return openServingPart({
      ...{ serve, identity, clock: this.#clock, game, params, device },
      follow: (view) => model.follow(view),
      send: (message) => this.#connection.serve(message),
      onServes: ({ hash, places }) => this.#tell({ type: 'serves', model: hash, places }),
      onProblem: (code, message) => this.#tell({ type: 'problem', code, message }),
    });
  }

  #onWelcome(welcome: Welcome): void {
    const { blobs, game, identity, run, run_name } = this.#options;
    this.#number = welcome.session;
    blobs.renew();
    this.#serving?.welcome();
    this.#tell({ type: 'joined', peer: identity.id, run, run_name, unit: game.unit });
    void this.#announce(welcome);
  }

  #onRun(view: SeenRun): void {
    this.#newest = view;
    this.#heldStages.see(view);
    this.#status.saw(view);
    this.#options.onView?.(view);
    this.#role.onView(view);
    this.#serving?.onView(view);
    this.#status.tellObstacle();
    this.#wake();
  }

  async #act(view: SeenRun): Promise<void> {
    const { signal } = this.#options;
    this.#acted = view;
    try {
      await untilLeft(this.#role.act(view, signal), signal, LEAVING_LIMITS.act_ms, this.#clock);
    } catch (error) {
      const next = planAfterActing(error);
      if (next === 'throw') throw error;
      this.#tellProblem(error);
      if (next === 'again') this.#clock.setTimeout(() => this.#actAgain(view), AGAIN_MS);
    }
    // What only serves goes on with a finished run's model, but where the run goes on the pool is that hub's.
    this.#finished = view.phase === 'finished' && (!this.#onlyServes || (await this.#options.hasMoved?.()) === true);
  }

  #actAgain(view: SeenRun): void {
    if (this.#acted === view) this.#acted = null;
    this.#wake();
  }

  #untilWoken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  async #submit(body: EventBody, enclosed: Uint8Array | null = null): Promise<Receipt> {
    const { identity, heads, receipts, signal, bind } = this.#options;
    return submitEvent(body, {
      identity,
      clock: this.#clock,
      heads,
      receipts,
      signal,
      send: (event) => this.#connection.submit(event, enclosed),
      bindAnew: bind ? () => this.#bind() : null,
      onNotKept: ({ message }) => this.#tell({ type: 'problem', code: 'receipt-not-kept', message }),
    });
  }

  async #bind(): Promise<void> {
    try {
      await this.#options.bind?.((body) => this.#submit(body));
    } catch (error) {
      const next = planAfterBinding(error);
      if (next === 'throw') throw error;
      if (next === 'tell') this.#tellProblem(error);
      if (next === 'end') this.#end(error as CodedError);
    }
  }

  /** Writes this peer's join into the log, once it is bound to its owner. */
  async #announce(welcome: Welcome): Promise<void> {
    const { run, role, name, device } = this.#options;
    const { present, session } = welcome;
    this.#bound ??= this.#bind();
    await this.#bound;
    if (this.#failure || this.#onlyServes) return;
    this.#status.present(present);
    if (present) return;
    try {
      await this.#submit({
        type: 'peer.joined',
        version: 1,
        run,
        session,
        role,
        name,
        runtime: device.runtime.class,
      });
      this.#status.present(true);
    } catch (error) {
      if (planAfterJoining(error, session !== this.#number) === 'end') this.#end(error as CodedError);
    }
  }

  /** Writes this peer's leave into the log; an unreachable hub finds out by itself. */
  async #sayGoodbye(): Promise<void> {
    const { run, identity } = this.#options;
    const reason = 'goodbye';
    const told = this.#submit({ type: 'peer.left', version: 1, run, peer: identity.id, session: this.#number, reason });
    let timer: Timer;
    const late = new Promise<void>((resolve) => {
      timer = this.#clock.setTimeout(resolve, LEAVING_LIMITS.goodbye_ms);
    });
    await Promise.race([told.catch(() => {}), late]); // an unheard peer leaves all the same
    this.#clock.clearTimeout(timer);
  }

  /** Ends the session with an error, after the role's current action. */
  #end(error: CodedError): void {
    this.#failure = error;
    this.#wake();
  }

  #tell(news: PeerNews): void {
    this.#options.onNews?.(news);
  }

  #tellProblem(error: unknown): void {
    const { code, message } = error as Error & { readonly code: unknown };
    this.#tell({ type: 'problem', code: String(code), message });
  }
}

/** Of a device that only serves. */
const NO_ROLE: Role = { onView() {}, drop() {}, async act() {} };

function blockedWords(reason: string): string {
  const found = reason === '' ? '' : ` (${reason})`;
  return (
    `the hub answers over HTTP, but no WebSocket to /ws opens${found}: something between, a proxy or a firewall, does not pass the ` +
    "upgrade on; the hub's operator or the network has to allow it"
  );
}

function yieldWords(wait_ms: number): string {
  return (
    'another device has come with the key of this one, as a copy of its folder or profile does, and only one of them can take part; ' +
    `this one waits, and asks in about ${Math.round(wait_ms / 60_000)} minutes whether the place is free`
  );
}
