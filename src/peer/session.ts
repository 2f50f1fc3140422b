// A device's part in one run, on any clock and over any transport: a connection, a model, and a role that acts on every change of the run.

import { type HeadKeeper, seenHeadOf, withSeenHead } from '../audit/seen-heads.ts';
import type { PeerRole } from '../core/events/peer-joined.ts';
import type { EventBody } from '../core/events.ts';
import { CodedError, isSystemError } from '../errors.ts';
import type { AnyGame, Device } from '../games/game.ts';
import type { Receipts } from '../ledger/receipts.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import { signEvent } from '../protocol/envelope.ts';
import type { Identity } from '../protocol/identity.ts';
import type { Obstacle, Progress, RunView, Welcome } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import type { PeerBlobs } from './blobs.ts';
import { connectToHub, type HubConnection, type Transport } from './connection.ts';
import { LEAVING_LIMITS, untilLeft } from './leaving.ts';
import { followModel } from './model.ts';
import { obstacleOf, obstacleTeller } from './obstacles.ts';
import type { PeerNews, Seat } from './role.ts';
import { validatorRole } from './validator.ts';
import { workerRole } from './worker.ts';

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
  /** Done once, before this peer announces itself, so that nothing is ever earned for the wrong account. */
  readonly bind?: (submit: Seat['submit']) => Promise<unknown>;
  /** See Seat. */
  readonly pledge?: Seat['pledge'];
  readonly publicLog?: Seat['publicLog'];
  /** Fires when the owner wants the device back: what is done is handed in, then the peer leaves. */
  readonly signal: AbortSignal;
  readonly onNews?: (news: PeerNews) => void;
  readonly onView?: (view: RunView) => void;
}

/** Resolves when the run is finished or the owner's signal has been followed. Throws PeerError, GameError, ProtocolError. */
export async function takePart(options: SessionOptions): Promise<'finished' | 'left'> {
  const { run, hub, role, identity, game, params, blobs, heads, signal } = options;
  const { clock } = options.transport;
  const tell = options.onNews ?? (() => {});

  // A signal that comes while a role waits must wake it, and a view must too.
  let newest: RunView | null = null;
  let acted: RunView | null = null;
  let wake = () => {};
  let failure: CodedError | null = null;
  signal.addEventListener('abort', () => wake(), { once: true });

  let obstacle: Obstacle | null = null;
  let doing: Omit<Progress, 'type'> = { state: 'waiting', round: 0, steps: 0, loss: 0, tokens_per_second: 0 };
  const teller = obstacleTeller(clock.elapsed_ms, (now) => tell({ type: 'obstacle', obstacle: now }));
  /** The log knows that this peer is here: what a view says of who is here counts it in. */
  let here = false;
  const tellObstacle = (): void => {
    if (here) teller(obstacle ?? (newest && obstacleOf(newest, role)));
  };

  let connection: HubConnection;
  const submit = async (body: EventBody) => {
    const said = withSeenHead(body, heads?.newest());
    const event = await signEvent(identity, said);
    const send = () => untilLeft(connection.submit(event), signal, LEAVING_LIMITS.answer_ms, clock);
    const receipt = await send().catch(async (error) => {
      // The certificate has ended while this device was at work: its owner vouches for it anew.
      const ended = error instanceof PeerError && error.is('refused') && error.details.refusal === 'device-expired';
      if (!ended || body.type === 'device.bound' || !options.bind) throw error;
      await bind();
      return send();
    });
    heads?.saw(receipt, seenHeadOf(said));
    await options.receipts.keep(event, receipt).catch((error: Error) => {
      tell({ type: 'problem', code: 'receipt-not-kept', message: error.message });
    });
    return receipt;
  };
  const seat: Seat = {
    run,
    identity,
    game,
    params,
    device: options.device,
    clock,
    blobs,
    model: followModel(game, params, blobs),
    pledge: options.pledge,
    publicLog: options.publicLog,
    submit,
    tell,
    progress(progress) {
      doing = obstacle ? { ...progress, obstacle } : progress;
      connection.progress(doing);
      tell({ type: 'progress', progress: doing });
    },
    heldUp(now) {
      if (!now && !obstacle) return;
      obstacle = now;
      const { obstacle: _, ...rest } = doing;
      seat.progress(rest);
      tellObstacle();
    },
    sample: (sample) => connection.sample(sample),
  };
  const acting = role === 'worker' ? workerRole(seat) : validatorRole(seat);

  let bound: Promise<void> | undefined;
  const bind = async (): Promise<void> => {
    try {
      await options.bind?.(submit);
    } catch (error) {
      if (!(error instanceof CodedError || isSystemError(error))) throw error;
      if (!(error instanceof CodedError))
        return tell({ type: 'problem', code: String(error.code), message: error.message });
      // Work for another account than the owner's is no work for the owner: rather none.
      if (!NOT_FINAL.includes(error.code)) return stop(error);
      // The connection tells of the others itself.
      if (error.code === 'bad-receipt') tell({ type: 'problem', code: error.code, message: error.message });
    }
  };

  let session = 0;
  const announce = async (welcome: Welcome): Promise<void> => {
    bound ??= bind();
    await bound;
    if (failure) return;
    here = welcome.present;
    if (here) return;
    const { name, device } = options;
    try {
      const { class: runtime } = device.runtime;
      await submit({ type: 'peer.joined', version: 1, run, session: welcome.session, role, name, runtime });
      here = true;
    } catch (error) {
      // Two connections may cross: that the log already knows this peer, or a later join of it, is what was wanted.
      const known = error instanceof PeerError && error.details.refusal === 'already-present';
      const outdated = welcome.session !== session;
      if (!known && !outdated && error instanceof PeerError && error.code === 'refused') stop(error);
    }
  };
  const stop = (error: CodedError): void => {
    failure = error;
    wake();
  };

  heads?.onFork(stop);
  connection = connectToHub({
    transport: options.transport,
    hub,
    run,
    role,
    identity,
    onWelcome: (welcome) => {
      session = welcome.session;
      blobs.renew();
      tell({ type: 'joined', peer: identity.id, run, run_name: options.run_name });
      void announce(welcome);
    },
    onRun: (view) => {
      newest = view;
      options.onView?.(view);
      acting.glance(view);
      tellObstacle();
      wake();
    },
    onAway: (reason) => tell({ type: 'away', reason }),
    onBlocked: (reason) => {
      const found = reason === '' ? '' : ` (${reason})`;
      const message =
        `the hub answers over HTTP, but no WebSocket to /ws opens${found}: something between, a proxy or a firewall, does not pass the ` +
        "upgrade on; the hub's operator or the network has to allow it";
      tell({ type: 'problem', code: 'no-websocket', message });
    },
    onYield: (wait_ms) => {
      newest = null;
      acting.drop();
      const message =
        'another device has come with the key of this one, as a copy of its folder or profile does, and only one of them can take part; ' +
        `this one waits, and asks in about ${Math.round(wait_ms / 60_000)} minutes whether the place is free`;
      tell({ type: 'problem', code: 'key-in-use', message });
    },
    onFatal: stop,
  });

  try {
    for (;;) {
      if (failure) throw failure;
      const view = newest as RunView | null;
      if (signal.aborted) break;
      if (!view || view === acted) {
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (newest !== view || failure || signal.aborted) resolve();
        });
        continue;
      }
      acted = view;
      await untilLeft(acting.act(view, signal), signal, LEAVING_LIMITS.act_ms, clock).catch((error) => {
        if (!(error instanceof CodedError || isSystemError(error))) throw error;
        tell({ type: 'problem', code: String(error.code), message: error.message });
        if (!passes(error)) return;
        const again = (): void => {
          if (acted === view) acted = null;
          wake();
        };
        clock.setTimeout(again, AGAIN_MS);
      });
      if (view.phase === 'finished') break;
    }
    await goodbye(
      () => submit({ type: 'peer.left', version: 1, run, peer: identity.id, session, reason: 'goodbye' }),
      clock,
    );
    return signal.aborted ? 'left' : 'finished';
  } finally {
    connection.close();
    await heads?.close();
  }
}

/** What keeps a device from being bound for now, and not because of whom it works for. */
const NOT_FINAL: readonly string[] = ['disconnected', 'key-in-use', 'bad-receipt'];

/** After this time what has failed for a reason that may pass is begun afresh, while nothing newer is to be done. */
const AGAIN_MS = 10_000;

/** A disk that was full, or a hub that failed at a blob. */
function passes(error: CodedError | Error): boolean {
  return isSystemError(error) || (error instanceof PeerError && Number(error.details.status) >= 500);
}

/** Tells the log that this peer leaves; a hub that is away finds out by itself. */
async function goodbye(leave: () => Promise<unknown>, clock: Clock): Promise<void> {
  const told = leave().catch(() => {});
  let timer: Timer;
  const late = new Promise<void>((resolve) => {
    timer = clock.setTimeout(resolve, LEAVING_LIMITS.goodbye_ms);
  });
  await Promise.race([told, late]);
  clock.clearTimeout(timer);
}
