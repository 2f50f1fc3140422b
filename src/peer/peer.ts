// A device that joins a run: its key, its connection, its model, and a role that acts on every change of the run.
import { join } from 'node:path';
import type { EventBody, PeerRole } from '../core/events.ts';
import { CodedError } from '../errors.ts';
import type { AnyGame, Device, Round } from '../games/game.ts';
import { decodeParams, loadGame } from '../games/registry.ts';
import type { Receipt } from '../ledger/receipt.ts';
import { signEvent } from '../protocol/envelope.ts';
import type { Identity } from '../protocol/identity.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import type { Progress, RunView } from '../protocol/messages.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { openPeerBlobs, type PeerBlobs } from './blobs.ts';
import { connectToHub, type HubConnection } from './connection.ts';
import { openDrawer } from './drawer.ts';
import { PeerError } from './errors.ts';
import { findRun } from './find-run.ts';
import { LEAVING_LIMITS, untilLeft } from './leaving.ts';
import { followModel, type ModelFollower } from './model.ts';
import { bindDevice } from './ownership.ts';
import { dutyCycle } from './policy.ts';
import { openReceipts } from './receipts.ts';
import { validatorRole } from './validator.ts';
import { workerRole } from './worker.ts';

export interface JoinOptions {
  readonly url: string;
  /** The run's id or a beginning of it; not needed where the hub has one run that is not finished. */
  readonly run?: string;
  readonly role: PeerRole;
  readonly name: string;
  /** Where this peer's key, blobs and drawer live. One process a folder. */
  readonly folder: string;
  /** Whoever this device earns for; without one it earns for its own key. */
  readonly owner?: Identity;
  readonly runtime: Runtime;
  /** The part of the time that the device may compute, above 0 up to 1. */
  readonly duty: number;
  /** Fires when the owner wants the device back: what is done is handed in, then the peer leaves. */
  readonly signal: AbortSignal;
  readonly onNews?: (news: PeerNews) => void;
}

/** What a peer tells its owner. */
export type PeerNews =
  | { readonly type: 'joined'; readonly peer: string; readonly run: string; readonly runName: string }
  | { readonly type: 'progress'; readonly progress: Omit<Progress, 'type'> }
  | { readonly type: 'accepted'; readonly round: number; readonly steps: number; readonly size_bytes: number }
  | { readonly type: 'refused'; readonly round: number; readonly code: string; readonly message: string }
  | { readonly type: 'judged'; readonly round: number; readonly accepted: boolean; readonly code: string }
  | { readonly type: 'evaluated'; readonly merged_rounds: number; readonly loss: number }
  | { readonly type: 'away'; readonly reason: string }
  | { readonly type: 'problem'; readonly code: string; readonly message: string };

/** What a role has at hand. */
export interface Seat {
  readonly run: string;
  readonly identity: Identity;
  readonly game: AnyGame;
  readonly params: unknown;
  readonly device: Device;
  readonly blobs: PeerBlobs;
  readonly model: ModelFollower;
  submit(body: EventBody): Promise<Receipt>;
  tell(news: PeerNews): void;
  progress(progress: Omit<Progress, 'type'>): void;
}

/** A role acts on views; it is given only the newest one, after it has finished with the one before. */
export interface Role {
  /** Called for every view as it arrives, to interrupt work that no longer counts. */
  glance(view: RunView): void;
  /** Called with the newest view. `leaving` fires when the owner wants the device back. */
  act(view: RunView, leaving: AbortSignal): Promise<void>;
}

/** Resolves when the run is finished or the owner's signal has been followed. Throws PeerError, GameError, ProtocolError. */
export async function joinRun(options: JoinOptions): Promise<'finished' | 'left'> {
  const { url, folder, role, signal } = options;
  const identity = await loadOrCreateIdentity(join(folder, 'identity.key'));
  const { hub, view: first } = await findRun(url, options.run);
  const blobs = openPeerBlobs({ url, hub, identity, folder });
  const game = await loadGame(first.game);
  const params = decodeParams(game, await blobs.fetch(first.params));
  const tell = options.onNews ?? (() => {});

  // A signal that comes while a role waits must wake it, and a view must too.
  let newest: RunView | null = null;
  let acted: RunView | null = null;
  let wake = () => {};
  let failure: PeerError | null = null;
  signal.addEventListener('abort', () => wake(), { once: true });

  let connection: HubConnection;
  const receipts = openReceipts(join(folder, 'runs', first.run));
  const submit = async (body: EventBody) => {
    const event = await signEvent(identity, body);
    const receipt = await untilLeft(connection.submit(event), signal, LEAVING_LIMITS.answer_ms);
    await receipts.keep(event, receipt).catch((error: Error) => {
      tell({ type: 'problem', code: 'receipt-not-kept', message: error.message });
    });
    return receipt;
  };
  const device: Device = {
    runtime: options.runtime,
    fetchBlob: blobs.fetch,
    drawer: openDrawer(join(folder, 'runs', first.run)),
    progress: async () => {},
  };
  const seat: Seat = {
    run: first.run,
    identity,
    game,
    params,
    device: { ...device, progress: dutyCycle(options.duty) },
    blobs,
    model: followModel(game, params, blobs),
    submit,
    tell,
    progress(progress) {
      connection.progress(progress);
      tell({ type: 'progress', progress });
    },
  };
  const acting = role === 'worker' ? workerRole(seat) : validatorRole(seat);

  // Before the first announcement, so that nothing is ever earned for the wrong account.
  let bound: Promise<void> | undefined;
  const bind = async (): Promise<void> => {
    if (!options.owner) return;
    try {
      await bindDevice({ owner: options.owner, device: identity.id, hub, folder, now_ms: Date.now(), submit });
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      if (error.code !== 'disconnected') tell({ type: 'problem', code: error.code, message: error.message });
    }
  };

  const announce = async (present: boolean): Promise<void> => {
    bound ??= bind();
    await bound;
    if (present) return;
    const { name, runtime } = options;
    try {
      await submit({ type: 'peer.joined', version: 1, run: first.run, role, name, runtime: runtime.class });
    } catch (error) {
      // Two connections may cross: that the log already knows this peer is what was wanted.
      const known = error instanceof PeerError && error.details.refusal === 'already-present';
      if (!known && error instanceof PeerError && error.code === 'refused') stop(error);
    }
  };
  const stop = (error: PeerError): void => {
    failure = error;
    wake();
  };

  connection = connectToHub({
    url,
    hub,
    run: first.run,
    role,
    identity,
    onWelcome: (present) => {
      tell({ type: 'joined', peer: identity.id, run: first.run, runName: first.name });
      void announce(present);
    },
    onRun: (view) => {
      newest = view;
      acting.glance(view);
      wake();
    },
    onAway: (reason) => tell({ type: 'away', reason }),
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
      await untilLeft(acting.act(view, signal), signal, LEAVING_LIMITS.act_ms).catch((error) => {
        if (!(error instanceof CodedError)) throw error;
        tell({ type: 'problem', code: error.code, message: error.message });
      });
      if (view.phase === 'finished') break;
    }
    await goodbye(submit, first.run, identity.id);
    return signal.aborted ? 'left' : 'finished';
  } finally {
    connection.close();
    blobs.close();
  }
}

/** Tells the log that this peer leaves; a hub that is away finds out by itself. */
async function goodbye(submit: Seat['submit'], run: string, peer: string): Promise<void> {
  const told = submit({ type: 'peer.left', version: 1, run, peer, reason: 'goodbye' }).catch(() => {});
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([told, new Promise((resolve) => (timer = setTimeout(resolve, LEAVING_LIMITS.goodbye_ms)))]);
  clearTimeout(timer);
}

/** The round that a view speaks of, as games know it. */
export function roundOf(view: RunView): Round {
  return { run: view.run, number: view.round, rounds: view.rounds, seed: view.seed };
}
