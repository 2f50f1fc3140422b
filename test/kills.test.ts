// SIGKILL for a real hub at random moments, while real peers work: nothing that was acknowledged is lost, nothing half-written
// appears, and the run goes on. POTLUCK_KILLS=1000 kills a thousand times.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { openBlobFolder } from '#blob-folder';
import { folderBlobs, openFolderLog } from '../src/audit/public-log-folder.ts';
import { decodeEvent } from '../src/core/codec.ts';
import type { EventBody, LoggedEvent } from '../src/core/events.ts';
import { apply } from '../src/core/reduce.ts';
import { initialState, type NetworkState } from '../src/core/state.ts';
import { exampleRules } from '../src/core/testing/example-events.ts';
import { openDrawer } from '../src/games/folder-drawer.ts';
import { wordsOfGame } from '../src/games/parts.ts';
import { type Receipt, verifyReceipt } from '../src/ledger/receipt.ts';
import { decodeEntryBundle } from '../src/ledger/tiles.ts';
import { sendEvent } from '../src/owner/owner.ts';
import { openPeerBlobs } from '../src/peer/blobs.ts';
import { takePart } from '../src/peer/session.ts';
import { webSockets } from '../src/peer/web-sockets.ts';
import { type Clock, systemClock } from '../src/protocol/clock.ts';
import { eventId, signEvent } from '../src/protocol/envelope.ts';
import { createIdentity, type Identity } from '../src/protocol/identity.ts';
import { seededRandom } from '../src/protocol/random.ts';
import { emptyTally, tally } from '../src/simulation/tally-game.ts';
import { auditAt } from './forged-log.ts';

const KILLS = Number(process.env.POTLUCK_KILLS ?? 15);
/** So many of ten kills come while the hub is still starting; the others some events and milliseconds into its work. */
const EARLY_OF_TEN = 2;
const EMISSION = {
  shares_per_round: 1001,
  halving_rounds: 0,
  owner_permille: 100,
  workers_permille: 600,
  validators_permille: 300,
};
const PARAMS = { steps: 3, tokens_per_step: 10 };

type Line = { readonly type: string } & Record<string, unknown>;

/** One life of the hub. */
class Life {
  readonly process: ChildProcess;
  readonly ended: Promise<unknown>;
  readonly #lines: Line[] = [];
  #stir: () => void = () => {};
  #over = false;

  constructor(folder: string, port: number) {
    const script = join(import.meta.dirname, 'tally-hub.ts');
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, folder, String(port)]);
    this.process = child;
    createInterface({ input: child.stdout }).on('line', (text) => {
      this.#lines.push(JSON.parse(text));
      this.#stir();
    });
    child.stderr.pipe(process.stderr);
    this.ended = new Promise((resolve) => {
      child.on('close', () => {
        this.#over = true;
        this.#stir();
        resolve(null);
      });
    });
  }

  /** The nth line of a type; null when the process ends, or the time is over, without it. */
  async line(type: string, nth = 0, within_ms = 240_000): Promise<Line | null> {
    const late = AbortSignal.timeout(within_ms);
    for (;;) {
      const found = this.#lines.filter((line) => line.type === type)[nth];
      if (found || this.#over || late.aborted) return found ?? null;
      await new Promise<void>((resolve) => {
        this.#stir = resolve;
        late.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }

  problems(): Line[] {
    return this.#lines.filter(({ type }) => type === 'problem');
  }
}

/** What was seen of the hub's disk, and what the hub has promised. */
class Witness {
  readonly ids: string[] = [];
  readonly state: NetworkState;
  readonly #folder: string;
  readonly #promised = new Map<number, string>();
  promises = 0;

  constructor(folder: string, hub: string) {
    this.#folder = folder;
    this.state = initialState(hub);
  }

  promised(event: Uint8Array, receipt: Receipt): void {
    this.promises++;
    this.#promised.set(verifyReceipt(receipt, event, this.state.hub).index, eventId(event));
  }

  /** Looks at the disk of a hub that is dead. */
  async look(): Promise<void> {
    const log = openFolderLog(this.#folder);
    let index = 0;
    for await (const { bundle, count } of log.pages()) {
      for (const bytes of decodeEntryBundle(bundle, count)) await this.#entry(bytes, index++);
    }
    log.close();
    assert.ok(index >= this.ids.length, `the log had ${this.ids.length} events and has ${index}`);
    for (const [at, id] of this.#promised) assert.equal(this.ids[at], id, `the hub gave a receipt for event ${at}`);
    this.#promised.clear(); // from here on they are among the events that must not change
  }

  async #entry(bytes: Uint8Array, index: number): Promise<void> {
    const id = eventId(bytes);
    if (index < this.ids.length) return assert.equal(id, this.ids[index], `event ${index} is another one now`);
    const event = decodeEvent(bytes); // whole, and rightly signed
    await this.#blobsOf(event);
    assert.equal(apply(this.state, event), null, `event ${index}, ${event.body.type}`);
    this.ids.push(id);
  }

  async #blobsOf({ body }: LoggedEvent): Promise<void> {
    const named: (string | null)[] = [];
    if (body.type === 'work.submitted') named.push(body.work);
    if (body.type === 'verdict.given') named.push(body.evidence);
    if (body.type === 'round.merged') named.push(body.bundle, body.checkpoint ? body.model : null);
    for (const hash of named) if (hash) assert.ok(await folderBlobs(this.#folder).blob(hash), `blob ${hash}`);
  }
}

async function createRun(url: string, hub: string, folder: string): Promise<string> {
  const owner = createIdentity();
  const blobs = openPeerBlobs({ url, hub, identity: owner, cache: openBlobFolder(join(folder, 'owner')) });
  const times = { rounds: 1_000_000, round_ms: 1000, judging_ms: 400, min_workers: 1, checkpoint_every: 3 };
  const body: EventBody = {
    ...{
      type: 'run.created',
      version: 3,
      ...wordsOfGame(tally),
      name: 'killed',
      game: 'tally',
      rules: exampleRules(EMISSION),
      created_ms: 0,
    },
    params: await blobs.upload(new TextEncoder().encode(JSON.stringify(PARAMS))),
    model: await blobs.upload(tally.encodeState(PARAMS, emptyTally)),
    ...times,
  };
  return sendEvent(url, await signEvent(owner, body));
}

/** A clock of somebody whose seconds are short: a hub that is back is tried at once, not after the usual waits. */
const impatient: Clock = {
  ...systemClock,
  setTimeout: (callback, delay_ms) => systemClock.setTimeout(callback, delay_ms / 10),
};

/** A real peer of this process, that lives through all lives of the hub. */
async function peer(
  url: string,
  run: string,
  role: 'worker' | 'validator',
  folder: string,
  seen: Witness,
  signal: AbortSignal,
) {
  const identity: Identity = createIdentity();
  const hub = seen.state.hub;
  const blobs = openPeerBlobs({ url, hub, identity, cache: openBlobFolder(folder), first_wait_ms: 300 });
  const runtime = {
    class: 'wasm',
    load: () => Promise.reject(new Error('nothing is computed here')),
    close: async () => {},
  } as const;
  const progress = async (): Promise<void> => void (await wait(2));
  await takePart({
    ...{ run, run_name: 'killed', hub, role, name: role, identity, game: tally, params: PARAMS, blobs, signal },
    device: { runtime, fetchBlob: blobs.fetch, drawer: openDrawer(folder), progress },
    transport: { ...webSockets(url), clock: impatient },
    receipts: { keep: async (event, receipt) => seen.promised(event, receipt) },
  });
  blobs.close();
}

test(`a hub that is killed ${KILLS} times loses nothing that it has acknowledged`, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-kills-'));
  const random = seededRandom('kills', KILLS);
  const hubFolder = join(folder, 'hub');
  let life = new Life(hubFolder, 0);
  t.after(async () => {
    life.process.kill('SIGKILL');
    await life.ended;
    rmSync(folder, { recursive: true, force: true });
  });
  const listening = await life.line('listening');
  assert.ok(listening);
  const url = String(listening.url);
  const port = Number(new URL(url).port);
  const seen = new Witness(hubFolder, String(listening.hub));
  const run = await createRun(url, seen.state.hub, folder);
  const leaving = new AbortController();
  const peers = (['worker', 'worker', 'validator'] as const).map((role, i) =>
    peer(url, run, role, join(folder, `peer-${i}`), seen, leaving.signal),
  );

  let early = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const starting = kill > 0 && random.below(10) < EARLY_OF_TEN;
    if (starting) {
      early++;
      await wait(random.below(400));
    } else {
      await life.line('listening');
      await life.line('event', random.below(12), 2000);
      await wait(random.below(30));
    }
    life.process.kill('SIGKILL');
    await life.ended;
    assert.deepEqual(life.problems(), []);
    await seen.look();
    life = new Life(hubFolder, port);
  }

  // And it goes on: two more rounds, in peace.
  const merged = seen.state.runs.get(run)!.round;
  for (let at = 0; ; at++) {
    const event = await life.line('event', at);
    assert.ok(event, 'the run has stopped');
    if (event.what !== 'round.merged') continue;
    await seen.look();
    if (seen.state.runs.get(run)!.round >= merged + 2) break;
  }
  leaving.abort();
  await Promise.all(peers);
  life.process.kill('SIGTERM');
  await life.ended;
  await seen.look();
  const { events, models } = await auditAt(hubFolder, { models: false });
  assert.deepEqual([events, models], [seen.ids.length, null]);
  assert.ok(seen.promises > 10);
  const { round } = seen.state.runs.get(run)!;
  t.diagnostic(`${KILLS} kills, ${early} while starting: ${events} events, ${seen.promises} receipts, ${round} rounds`);
});
