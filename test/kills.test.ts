// SIGKILL for a real hub at random moments, while real peers work: nothing that was acknowledged is lost, nothing half-written
// appears, and the run goes on. POTLUCK_KILLS=1000 kills a thousand times.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { folderBlobs, openFolderLog } from '../src/audit/public-log-folder.ts';
import { decodeEvent } from '../src/core/codec.ts';
import type { LoggedEvent } from '../src/core/events.ts';
import { apply } from '../src/core/reduce.ts';
import { initialState, type NetworkState } from '../src/core/state.ts';
import { type Receipt, verifyReceipt } from '../src/ledger/receipt.ts';
import { decodeEntryBundle } from '../src/ledger/tiles.ts';
import { eventId } from '../src/protocol/envelope.ts';
import { seededRandom } from '../src/protocol/random.ts';
import { auditAt } from './forged-log.ts';
import { createRun, Life, peer } from './tally-run.ts';

const KILLS = Number(process.env.POTLUCK_KILLS ?? 15);
/** So many of ten kills come while the hub is still starting; the others some events and milliseconds into its work. */
const EARLY_OF_TEN = 2;
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
    peer(url, run, role, join(folder, `peer-${i}`), seen.state.hub, seen.promised.bind(seen), leaving.signal),
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
