// A hub in a process of its own that may be killed, and real peers of the test's process in a run of a cheap game on it.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { openBlobFolder } from '#blob-folder';
import type { EventBody } from '../src/core/events.ts';
import { exampleRules } from '../src/core/testing/example-events.ts';
import { openDrawer } from '../src/games/folder-drawer.ts';
import { wordsOfGame } from '../src/games/parts.ts';
import type { S3Place } from '../src/hub/named-place.ts';
import type { Receipt } from '../src/ledger/receipt.ts';
import { openPeerBlobs } from '../src/peer/blobs.ts';
import { sendEvent } from '../src/peer/send-event.ts';
import { takePart } from '../src/peer/session.ts';
import { webSockets } from '../src/peer/web-sockets.ts';
import { type Clock, systemClock } from '../src/protocol/clock.ts';
import { signEvent } from '../src/protocol/envelope.ts';
import { createIdentity, type Identity } from '../src/protocol/identity.ts';
import { emptyTally, tally } from '../src/simulation/tally-game.ts';

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
export class Life {
  readonly process: ChildProcess;
  readonly ended: Promise<unknown>;
  readonly #lines: Line[] = [];
  #stir: () => void = () => {};
  #over = false;

  /** @param s3 the hub's bucket */
  constructor(folder: string, port: number, s3?: S3Place) {
    const script = join(import.meta.dirname, 'tally-hub.ts');
    const words = [script, folder, String(port), ...(s3 ? [JSON.stringify(s3)] : [])];
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...words]);
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

/** The event of a run of the simulator's cheap game, whose blobs it uploads. */
export async function runOf(url: string, hub: string, folder: string, owner: Identity): Promise<EventBody> {
  const blobs = openPeerBlobs({ url, hub, identity: owner, cache: openBlobFolder(join(folder, 'owner')) });
  const times = { rounds: 1_000_000, round_ms: 1000, judging_ms: 400, min_workers: 1, checkpoint_every: 3 };
  return {
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
}

/** Such a run, by an owner of its own; resolves to its id. */
export async function createRun(url: string, hub: string, folder: string): Promise<string> {
  const owner = createIdentity();
  return sendEvent(url, await signEvent(owner, await runOf(url, hub, folder, owner)));
}

/** A clock of somebody whose seconds are short: a hub that is back is tried at once, not after the usual waits. */
const impatient: Clock = {
  ...systemClock,
  setTimeout: (callback, delay_ms) => systemClock.setTimeout(callback, delay_ms / 10),
};

/** A real peer of this process, that lives through all lives of the hub. */
export async function peer(
  url: string,
  run: string,
  role: 'worker' | 'validator',
  folder: string,
  hub: string,
  promised: (event: Uint8Array, receipt: Receipt) => void,
  signal: AbortSignal,
) {
  const identity: Identity = createIdentity();
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
    receipts: { keep: async (event, receipt) => promised(event, receipt) },
  });
  blobs.close();
}
