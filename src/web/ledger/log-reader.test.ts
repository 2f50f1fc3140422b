// The log as the page reads it: of what has grown only the rest is fetched, a rewritten history is told from a hub that is away.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { concatBytes } from '@noble/hashes/utils.js';
import { signCheckpoint } from '../../ledger/checkpoint.ts';
import { leafHash, nodesOfLeaves, rootAt } from '../../ledger/merkle.ts';
import { encodeEntryBundle, parseTilePath, TILE_WIDTH } from '../../ledger/tiles.ts';
import { createIdentity } from '../../protocol/identity.ts';
import { LogAway, openLogReader } from './log-reader.ts';

const hub = createIdentity();
const entryOf = (index: number, word = 'entry'): Uint8Array =>
  new TextEncoder().encode(`${word} ${index} ${'.'.repeat(90)}`);

let entries: Uint8Array[];
let fetched: { path: string; size_bytes: number }[];
let ranges: boolean;
beforeEach(() => {
  entries = Array.from({ length: 400 }, (_, i) => entryOf(i));
  fetched = [];
  ranges = true;
});

/** A hub's /log, from `entries`. */
const serve = (async (address: string, init: RequestInit = {}) => {
  const path = String(address).replace('http://hub.example/log/', '');
  const range = ranges ? /^bytes=(\d+)-$/.exec(new Headers(init.headers).get('range') ?? '') : null;
  const body = (await contentOf(path)).subarray(Number(range?.[1] ?? 0));
  fetched.push({ path, size_bytes: body.length });
  return new Response(body as Uint8Array<ArrayBuffer>, { status: range ? 206 : 200 });
}) as typeof fetch;

async function contentOf(path: string): Promise<Uint8Array> {
  const leaves = entries.map(leafHash);
  if (path === 'checkpoint') {
    const root = rootAt(entries.length, nodesOfLeaves(leaves));
    const note = await signCheckpoint(hub, { origin: `potluck/${hub.id}`, size: entries.length, root });
    return new TextEncoder().encode(note);
  }
  const tile = parseTilePath(path);
  const first = tile.index * TILE_WIDTH;
  if (tile.kind === 'entries') return encodeEntryBundle(entries.slice(first, first + tile.width));
  const node = nodesOfLeaves(leaves);
  const hashes = Array.from({ length: tile.width }, (_, i) => node(8 * tile.level, first + i));
  return concatBytes(...hashes);
}

const open = () => openLogReader('http://hub.example', hub.id, serve);
const sent_bytes = (): number => fetched.splice(0).reduce((sum, { size_bytes }) => sum + size_bytes, 0);

test('of a bundle that has grown only the new entries are fetched, and what they prove needs no tile', async () => {
  const reader = open();
  await reader.refresh();
  assert.equal((await reader.entries(300, 400)).length, 100);
  sent_bytes();
  entries.push(entryOf(400), entryOf(401));
  const head = await reader.refresh();
  assert.equal(head.size, 402);
  assert.equal(head.seen, 2);
  const list = await reader.entries(398, 402);
  assert.deepEqual(list, entries.slice(398));
  const note_bytes = (await contentOf('checkpoint')).length;
  const added_bytes = encodeEntryBundle(entries.slice(400)).length;
  assert.deepEqual(
    fetched.map(({ path }) => path),
    ['checkpoint', 'tile/1/000.p/1', 'tile/entries/001.p/146'],
  );
  assert.equal(sent_bytes(), note_bytes + added_bytes + 32);
  entries.push(entryOf(402));
  await reader.refresh();
  assert.deepEqual(
    fetched.map(({ path }) => path),
    ['checkpoint', 'tile/entries/001.p/147'],
  );
});

test('a bundle that is full by now, and the next one', async () => {
  const reader = open();
  await reader.refresh();
  await reader.entries(390, 400);
  for (let i = 400; i < 520; i++) entries.push(entryOf(i));
  await reader.refresh();
  assert.deepEqual(await reader.entries(380, 520), entries.slice(380, 520));
});

test('a hub, or a proxy before it, that knows no ranges sends the whole', async () => {
  ranges = false;
  const reader = open();
  await reader.refresh();
  await reader.entries(300, 400);
  entries.push(entryOf(400));
  await reader.refresh();
  assert.deepEqual(await reader.entries(399, 401), entries.slice(399));
});

test('a history that is rewritten is found; entries that were served wrongly once accuse nobody of that', async () => {
  const reader = open();
  await reader.refresh();
  const honest = entries;
  entries = entries.with(390, entryOf(390, 'forged'));
  await reader.entries(300, 400);
  entries = [...honest, entryOf(400)];
  assert.equal((await reader.refresh()).size, 401);
  entries = [...honest.with(5, entryOf(5, 'forged')), entryOf(400), entryOf(401)];
  await assert.rejects(
    open()
      .refresh()
      .then(() => reader.refresh()),
    { code: 'malformed', message: /two histories/ },
  );
  entries = honest;
  await assert.rejects(reader.refresh(), {
    code: 'malformed',
    message: /had 401 events before, now the hub signs 400/,
  });
});

test('a hub that is away, or a proxy that says so, is no untruth, and is asked again', async () => {
  let answer: () => Promise<Response> = () => Promise.reject(new TypeError('Failed to fetch'));
  const reader = openLogReader('http://hub.example', hub.id, ((address: string) =>
    answer ? answer() : serve(address)) as typeof fetch);
  await assert.rejects(
    reader.refresh(),
    (error) => error instanceof LogAway && error.message === 'the hub did not answer',
  );
  answer = async () => new Response('bad gateway', { status: 502 });
  await assert.rejects(reader.refresh(), (error) => error instanceof LogAway && /answered 502/.test(error.message));
  await assert.rejects(reader.entries(0, 5), LogAway);
  answer = serve as unknown as typeof answer;
  const back = openLogReader('http://hub.example', hub.id, serve);
  assert.equal((await back.entries(0, 5)).length, 5);
});

test('the place of an event is proved with the tiles of the hub', async () => {
  const reader = open();
  await reader.refresh();
  const [entry] = await reader.entries(3, 4);
  assert.equal((await reader.prove(entry, 3)).holds, true);
  assert.equal((await reader.prove(entryOf(3, 'forged'), 3)).holds, false);
});

test('what an earlier visit has seen must be continued; two histories stay against the hub, whatever it shows later', async () => {
  let kept: readonly string[] = ['of another version'];
  const memory = {
    read: () => kept,
    write(notes: readonly string[]) {
      kept = notes;
    },
  };
  const visit = () => openLogReader('http://hub.example', hub.id, serve, memory).refresh();
  const honest = entries;
  await visit();
  assert.equal(kept.length, 1);
  entries.push(entryOf(400));
  assert.equal((await visit()).size, 401);
  const [before] = kept;
  entries = honest.with(3, entryOf(3, 'forged')).concat([entryOf(401)]);
  await assert.rejects(visit(), { code: 'malformed', message: /two histories of its first 401 events/ });
  assert.equal(kept[0], before);
  assert.equal(kept.length, 2);
  await assert.rejects(visit(), { code: 'malformed' });
  assert.equal(kept.length, 2, 'the same head is kept once');
  entries = honest.concat([entryOf(401), entryOf(402)]);
  await assert.rejects(visit(), { code: 'malformed', message: /two histories of its first 402 events/ });
  kept = [before];
  entries = honest.slice(0, 300);
  await assert.rejects(visit(), { code: 'malformed', message: /had 401 events before, now the hub signs 300/ });
});
