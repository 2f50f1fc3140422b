// A finished run of real processes with everybody's keys, and what could be made of it by those who hold them.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { VerdictGiven } from '../src/core/events/verdict-given.ts';
import { apply } from '../src/core/reduce.ts';
import { acceptedIds, acceptedSubmissions } from '../src/core/rounds/judging.ts';
import { mergedList } from '../src/core/rounds/merged-list.ts';
import { awaitsDraw } from '../src/core/rounds/panel.ts';
import { statementOf } from '../src/core/shares/share-table.ts';
import { initialState, type NetworkState } from '../src/core/state.ts';
import { drawnBy } from '../src/core/testing/example-draw.ts';
import { exampleRules, sealFor } from '../src/core/testing/example-events.ts';
import { encodeBundle } from '../src/games/bundle.ts';
import { catchUp } from '../src/games/history.ts';
import { decodeParams } from '../src/games/params.ts';
import { loadGame } from '../src/games/registry.ts';
import { cutState, followState, keepState } from '../src/games/state.ts';
import { byteTokenizer } from '../src/model/tokenizer.ts';
import { createRun } from '../src/owner/owner.ts';
import { sha256Hex } from '../src/protocol/hash.ts';
import type { DrawingIdentity, Identity } from '../src/protocol/identity.ts';
import { loadIdentity, loadOrCreateIdentity } from '../src/protocol/identity-file.ts';
import { blobOnDisk } from './blobs-on-disk.ts';
import { bodyOf, type Entry, entriesOf, type Forgery, indexOfType, signedEntry } from './forged-log.ts';
import { type Network, network, type Potluck } from './network.ts';

export const ROUNDS = 3;
/** Not divisible by anything that occurs, so that every division has a remainder. */
export const EMISSION = {
  shares_per_round: 1_000_003,
  halving_rounds: 2,
  owner_permille: 179,
  workers_permille: 410,
  validators_permille: 411,
};

/** A finished run, with the keys of everybody in it: what a cheating hub would need, and more. */
export interface Finished {
  readonly net: Network;
  /** Where the hub still listens. */
  readonly url: string;
  readonly hubProcess: Potluck;
  readonly run: string;
  readonly folder: string;
  readonly entries: readonly Entry[];
  readonly receipts: string;
  readonly hub: DrawingIdentity;
  readonly owner: Identity;
  readonly ada: Identity;
  readonly vera: Identity;
}

export function replayed(entries: readonly Entry[], hub: string): NetworkState {
  const state = initialState(hub);
  for (const { event } of entries) assert.equal(apply(state, event), null);
  return state;
}

/** The work that the merge at `index` takes, as the verdicts before it say. */
export function acceptedAt(entries: readonly Entry[], hub: string, index: number): string[] {
  const state = replayed(entries.slice(0, index), hub);
  return acceptedIds(state, state.runs.get(bodyOf(entries[index], 'round.merged').run)!);
}

export async function finishedRun(t: TestContext): Promise<Finished> {
  const net = network(t);
  const { url, potluck } = await net.hub();
  const owner = await loadOrCreateIdentity(join(net.folder, 'home', 'owner.key'));
  const run = await createRun(url, owner, join(net.folder, 'cache'), {
    name: 'audited',
    texts: Array.from({ length: 900 }, (_, i) => `Line ${i} of a text that repeats itself, as texts for tests do.\n`),
    tokenizer: byteTokenizer(),
    model: {
      hidden_size: 16,
      intermediate_size: 32,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      max_position_embeddings: 16,
    },
    seed: 'audit',
    training: { batch: 4, context: 16, inner_steps: 6, learning_rate: 0.01, min_learning_rate: 0.001, warmup_steps: 2 },
    schedule: {
      rounds: ROUNDS,
      round_ms: 6000,
      judging_ms: 4000,
      min_workers: 2,
      checkpoint_every: 1,
      rules: exampleRules(EMISSION),
    },
  });
  const peers = [
    net.joinTogether(url, 'ada'),
    net.joinTogether(url, 'bob'),
    net.joinTogether(url, 'vera', '--role', 'validator'),
  ];
  assert.deepEqual(await Promise.all(peers.map((peer) => peer.ended)), [0, 0, 0]);

  const folder = join(net.folder, 'hub');
  return {
    net,
    url,
    hubProcess: potluck,
    run,
    folder,
    entries: await entriesOf(folder),
    receipts: join(net.folder, 'ada', 'runs', run, 'receipts.jsonl'),
    hub: await loadIdentity(join(folder, 'hub.key')),
    owner,
    ada: await loadIdentity(join(net.folder, 'ada', 'identity.key')),
    vera: await loadIdentity(join(net.folder, 'vera', 'identity.key')),
  };
}

export const withBlobs =
  (blobs: readonly Uint8Array[]) =>
  (forgery: Forgery): Forgery => {
    for (const blob of blobs) forgery.setBlob(sha256Hex(blob), blob);
    return forgery;
  };

const verdictOn = (entries: readonly Entry[], submission: string): VerdictGiven =>
  entries
    .map(({ event }) => event.body)
    .find((body): body is VerdictGiven => body.type === 'verdict.given' && body.submission === submission)!;

/** The last round again, with garbage for ada's work, and everybody signing that it is fine. */
export async function colludingRound({ entries, hub, ada, vera, folder }: Finished, lastMerge: number) {
  const garbage = new Uint8Array(100).fill(7);
  const work = sha256Hex(garbage);
  const opened = indexOfType(entries, 'round.opened', -1);
  const renamed = new Map<string, string>();
  const list: Entry[] = [];
  for (const [index, entry] of entries.slice(0, lastMerge).entries()) {
    const { author, body, id } = entry.event;
    let now = entry;
    if (index > opened && author === ada.id && body.type === 'work.submitted') {
      now = await signedEntry(ada, { ...body, work, size_bytes: garbage.length });
      renamed.set(id, now.event.id);
    } else if (body.type === 'verdict.sealed' && renamed.has(body.submission)) {
      const submission = renamed.get(body.submission)!;
      now = await signedEntry(vera, sealFor(vera.id, { ...verdictOn(entries, body.submission), submission }));
    } else if (body.type === 'verdict.given' && renamed.has(body.submission)) {
      now = await signedEntry(vera, { ...body, submission: renamed.get(body.submission)! });
    }
    list.push(now);
  }
  const merged = bodyOf(entries[lastMerge], 'round.merged');
  const accepted = acceptedAt(entries, hub.id, lastMerge)
    .map((id) => renamed.get(id) ?? id)
    .sort();
  const works = accepted.map((id) => {
    const body = bodyOf(list.find(({ event }) => event.id === id)!, 'work.submitted');
    return { work: body.work === work ? garbage : blobOnDisk(folder, body.work), weight: body.amount };
  });
  const bundle = encodeBundle(works);
  list.push(await signedEntry(hub, { ...merged, ...mergedList(accepted), bundle: sha256Hex(bundle) }));
  const index = list.findIndex(({ event }) => [...renamed.values()].includes(event.id));
  return { entries: list, blobs: [garbage, bundle], work, index };
}

/** The last round without somebody's work: the hub waits by its own clock, merges the rest truly and states the shares. */
export async function withoutLastWorkOf({ entries, hub, run, folder }: Finished, worker: string) {
  const lastMerge = indexOfType(entries, 'round.merged', -1);
  const index = entries.findLastIndex(
    ({ event: { author, body } }) => author === worker && body.type === 'work.submitted',
  );
  const { id } = entries[index].event;
  const list = entries
    .slice(0, lastMerge)
    .filter(({ event }) => event.id !== id && !('submission' in event.body && event.body.submission === id));
  // Judges are drawn when the work is in, and verdicts are shown only when the round asks for them.
  const opened = list.findLastIndex(({ event }) => event.body.type === 'round.opened');
  const later = (type: string): Entry[] => list.filter(({ event }, i) => i > opened && event.body.type === type);
  const [drawn, sealed, shown] = ['round.drawn', 'verdict.sealed', 'verdict.given'].map(later);
  for (const entry of [...drawn, ...sealed, ...shown]) list.splice(list.indexOf(entry), 1);
  const state = replayed(list, hub.id);
  const add = async (entry: Entry): Promise<void> => {
    assert.equal(apply(state, entry.event), null);
    list.push(entry);
  };
  const open = state.runs.get(run)!;
  for (let waited = 0; waited < 8 && !awaitsDraw(open, state.time_ms); waited++) {
    await add(await signedEntry(hub, { type: 'tick', version: 1, time_ms: state.time_ms + 2000 }));
  }
  await add(await signedEntry(hub, drawnBy(hub, open)));
  for (const entry of sealed) await add(entry);
  for (const entry of shown) await add(entry);
  assert.equal(open.phase, 'merging');
  const accepted = acceptedSubmissions(state, open).map(({ submission }) => submission);
  const game = await loadGame('pretrain');
  const params = await decodeParams(game, blobOnDisk(folder, open.spec.params));
  const works = accepted.map(({ body }) => ({ work: blobOnDisk(folder, body.work), weight: body.amount }));
  const fetch = async (hash: string): Promise<Uint8Array> => blobOnDisk(folder, hash);
  const before = await catchUp(game, params, open, null, fetch, 'merge');
  const cut = await cutState(game, params, before, works);
  assert.ok(cut, 'the run merges by steps');
  const blobs = [encodeBundle(works), cut.step];
  const put = async (bytes: Uint8Array): Promise<string> => {
    blobs.push(bytes);
    return sha256Hex(bytes);
  };
  const model = await keepState(game, params, await followState(game, params, before.state, cut.step), put);
  const rest = await keepState(game, params, cut.rest, put, 'rest');
  const { round, attempt } = open;
  const [bundle, step] = blobs.map((bytes) => sha256Hex(bytes));
  const names = { model, bundle, step, rest };
  const body = { type: 'round.merged', version: 2, run, round, attempt, ...names, checkpoint: true } as const;
  await add(await signedEntry(hub, { ...body, ...mergedList(accepted.map(({ id }) => id)) }));
  await add(await signedEntry(hub, statementOf(open)));
  for (const entry of entries.slice(lastMerge)) if (entry.event.body.type === 'peer.left') await add(entry);
  return { list, blobs, dropped: { id, index } };
}
