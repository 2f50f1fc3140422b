// A device that joins a run as a process: finds it on the hub, opens its folder, and takes part until the run ends or its owner stops it.
import { join } from 'node:path';
import { openBlobFolder } from '#blob-folder';
import { Misbehaviour } from '../audit/continuation.ts';
import { openHubLog } from '../audit/public-log-http.ts';
import { HEADS_FOLDER } from '../audit/seen-heads.ts';
import type { PeerRole } from '../core/events/peer-joined.ts';
import { openDrawer } from '../games/folder-drawer.ts';
import type { AnyGame } from '../games/game.ts';
import { checkNeeds, PEER_LENDS } from '../games/needs.ts';
import { decodeParams } from '../games/params.ts';
import { runProgram } from '../games/programs/node-programs.ts';
import { type LoadGame, loadGame, offerOf } from '../games/registry.ts';
import { openReceipts } from '../ledger/receipts.ts';
import { fired, systemClock } from '../protocol/clock.ts';
import type { Identity } from '../protocol/identity.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import { openLine } from '../protocol/line.ts';
import type { RunView } from '../protocol/messages.ts';
import { writeWhole } from '../protocol/whole-file.ts';
import { openOwnEngine } from '../serving/engine-own.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { openPeerBlobs } from './blobs.ts';
import { chooseRuntime, type RuntimeSettings } from './choose-runtime.ts';
import { certificatesIn } from './device-certificates.ts';
import { findRun } from './find-run.ts';
import { openFronts } from './fronts.ts';
import { joinFound } from './join-found.ts';
import { checkMemory } from './memory.ts';
import { followRun, type RunAt } from './moved-run.ts';
import type { Throttle } from './policy.ts';
import type { PeerNews, RoleContext } from './role.ts';
import type { ServeOptions } from './serving-part.ts';
import type { Pauses } from './status.ts';
import { webSockets } from './web-sockets.ts';

/** What a device that plays a game in its own way knows. */
export interface Situation {
  readonly role: PeerRole;
  readonly peer: string;
  readonly params: unknown;
  /** The newest view of the run. */
  view(): RunView | null;
  fetchBlob(hash: string): Promise<Uint8Array>;
}

export interface JoinOptions {
  readonly url: string;
  /** The run's id or the beginning of it; not needed where the hub has one unfinished run. */
  readonly run?: string;
  readonly role: PeerRole;
  readonly name: string;
  /** This peer's folder, with its key, blobs and drawer. One process per folder. */
  readonly folder: string;
  /** The owner that this device earns for; without one it earns for its own key. */
  readonly owner?: Identity;
  /** What it computes with: one that is open already, or what is to be chosen for the run's game, and closed at the end. */
  readonly runtime: Runtime | RuntimeSettings;
  /** How much of the time the device may compute, as its owner's rules have it from moment to moment. */
  readonly throttle: Throttle;
  /** What the hub is to learn of its pauses. */
  readonly pauses?: Pauses;
  /** Fires when the owner wants the device back: the device submits what is done, then leaves. */
  readonly signal: AbortSignal;
  readonly onNews?: (news: PeerNews) => void;
  /** Finds the run's game; by default a built-in one. */
  readonly loadGame?: LoadGame;
  /** For adversaries, which are started on purpose: the game as this device plays it. */
  readonly disguise?: (game: AnyGame, situation: Situation) => AnyGame;
  /** For planted work, see RoleContext. */
  readonly pledge?: RoleContext['pledge'];
  /** How it serves the run's model; missing: it serves nobody. */
  readonly serve?: Omit<ServeOptions, 'openEngine'>;
}

/** Resolves when the run is finished, at whatever hub, or the owner's signal was followed. Throws PeerError, GameError, ProtocolError. */
export async function joinRun(options: JoinOptions): Promise<'finished' | 'left'> {
  return followRun({ ...options, run: options.run, clock: systemClock }, (at) => joinAt(options, at));
}

/** Joins the run where it is now. */
async function joinAt(options: JoinOptions, { url, hub, view }: RunAt): Promise<'finished' | 'left'> {
  const { folder, role, name, owner, signal, onNews } = options;
  const identity = await loadOrCreateIdentity(join(folder, 'identity.key'));
  const fronts = openFronts({ url });
  await fronts.measure();
  fronts.choose();
  const blobs = openPeerBlobs({
    ...{ url: () => fronts.url, hub, identity, cache: openBlobFolder(folder), patient: true },
    onTransfer: (transfer) => onNews?.({ type: 'transfer', ...transfer }),
  });
  const line = openLine();
  let opened: Runtime | null = null;
  try {
    const game = await (options.loadGame ?? loadGame)(view.game, offerOf(view.game_file, blobs.fetch));
    checkNeeds(game, PEER_LENDS, 'this device');
    const settings = await Promise.race([blobs.fetch(view.params), fired(signal)]);
    if (!settings) return 'left';
    const params = await decodeParams(game, settings);
    // Whoever serves a file does not load the run's model.
    if (!options.serve?.file) await checkMemory(game, params, process.availableMemory());
    let { runtime } = options;
    if (!('class' in runtime)) {
      const { wish } = runtime;
      const choice = await chooseRuntime(runtime, game, params, signal);
      if (choice === null) return 'left';
      const { runtime: chosen, ...why } = choice;
      runtime = opened = chosen;
      if (wish.kind !== 'cpu') onNews?.({ type: 'computes', runtime: chosen.class, ...why });
    }
    let newest: RunView | null = null;
    const situation: Situation = { role, peer: identity.id, params, view: () => newest, fetchBlob: blobs.fetch };
    const own = join(folder, 'runs', view.run);
    const problem = (code: string) => (message: string) => onNews?.({ type: 'problem', code, message });
    const publicLog = () => openHubLog(fronts.url, hub, line);
    return await joinFound({
      found: { hub, view },
      at: () => fronts.url,
      role,
      name,
      identity,
      owner: owner ? { identity: owner, certificates: certificatesIn(folder) } : null,
      game: options.disguise?.(game, situation) ?? game,
      params,
      pauses: options.pauses,
      device: { runtime, drawer: openDrawer(own, problem('disk-full')), run: runProgram, ...options.throttle },
      transport: webSockets(fronts),
      blobs,
      heads: { drawer: openDrawer(join(folder, HEADS_FOLDER), problem('disk-full')), log: publicLog },
      receipts: openReceipts(own, problem('receipt-cut')),
      pledge: options.pledge,
      serve: options.serve && { ...options.serve, openEngine: ownEngineOn(runtime) },
      publicLog,
      hasMoved: () =>
        findRun(fronts.url, view.run).then(
          (found) => found.view.moved !== undefined,
          () => false,
        ),
      signal,
      onNews,
      onView: (seen) => {
        newest = seen;
      },
    });
  } catch (error) {
    throw error instanceof Misbehaviour ? await withEvidence(error, folder) : error;
  } finally {
    await opened?.close();
    blobs.close();
    line.close();
  }
}

/** Loads a model with our own decoder, with a cache for as many answers of its full context as are written at the same time. */
function ownEngineOn(runtime: Runtime): ServeOptions['openEngine'] {
  return (model, places) =>
    openOwnEngine(runtime, model, { cache_tokens: places * model.config.max_position_embeddings });
}

/** Writes down the two statements with which a hub has contradicted itself, for others to see. */
async function withEvidence({ message, proof }: Misbehaviour, folder: string): Promise<Misbehaviour> {
  const file = join(folder, `misbehaviour-${proof.hub.slice(0, 16)}.json`);
  await writeWhole(file, `${JSON.stringify({ message, ...proof }, null, 2)}\n`);
  const forget = join(folder, HEADS_FOLDER, proof.hub);
  const what = `${message}; what it has signed is in ${file}, and this device takes no part there until ${forget} is removed`;
  return new Misbehaviour(what, proof);
}
