// What /metrics says: what happened on this hub and not on another, under labels that a stranger cannot add to.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { bytesToHex } from '@noble/hashes/utils.js';
import { WebSocket } from 'ws';
import { createMemoryLogStore } from '../ledger/testing/memory-log.ts';
import { encodeMessage } from '../protocol/encode-message.ts';
import { decodeFromHub } from '../protocol/from-hub.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { createIdentity } from '../protocol/identity.ts';
import { PROTOCOL_VERSION, uploadChallenge } from '../protocol/messages.ts';
import { type Hub, openHub } from './hub.ts';
import { openMetrics } from './metrics.ts';

const root = mkdtempSync(join(tmpdir(), 'potluck-metrics-'));
let hub: Hub;
let other: Hub;
before(async () => {
  const open = (name: string) => openHub({ folder: join(root, name), host: '127.0.0.1', port: 0 });
  hub = await open('hub');
  other = await open('other');
});
after(async () => {
  await Promise.all([hub.close(), other.close()]);
  rmSync(root, { recursive: true, force: true });
});

/** The samples by their name with labels. */
async function samples(url = hub.url): Promise<Map<string, number>> {
  return parse(await (await fetch(`${url}/metrics`)).text());
}

function parse(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

test('the format: its content type, every series described once, process metrics beside the hub’s', async () => {
  const response = await fetch(`${hub.url}/metrics`);
  assert.match(response.headers.get('content-type')!, /^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  const described = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
  assert.equal(new Set(described).size, described.length);
  assert.ok(described.includes('process_resident_memory_bytes'));
  const ours = [...parse(text)].filter(([name]) => name.startsWith('potluck_'));
  assert.ok(ours.length > 5);
  assert.equal(parse(text).get('potluck_leads'), 1, 'a hub of one process');
  for (const [name, value] of ours) assert.ok(!Number.isNaN(value), name); // the event loop may have no sample yet
});

test('refusals are counted by their code, on the hub where they happened', async () => {
  await fetch(`${hub.url}/no-such-path-a`);
  await fetch(`${hub.url}/no-such-path-b`);
  await fetch(`${hub.url}/blobs/nonsense`);
  const seen = await samples();
  assert.equal(seen.get('potluck_refusals_total{code="not-found"}'), 2);
  assert.equal(seen.get('potluck_refusals_total{code="malformed"}'), 1);
  assert.equal((await samples(other.url)).get('potluck_refusals_total{code="not-found"}'), undefined);
});

test('connections by role, and refusals over them', async () => {
  const socket = new WebSocket(`${hub.url.replace('http', 'ws')}/ws`);
  const welcome = new Promise<void>((resolve) => {
    socket.on('message', (data: Buffer) => {
      const { type } = decodeFromHub(new Uint8Array(data));
      if (type === 'challenge') {
        socket.send(encodeMessage({ type: 'hello', protocol: PROTOCOL_VERSION, role: 'observer' }));
      }
      if (type === 'welcome') socket.send(encodeMessage({ type: 'event', event: new Uint8Array([1, 2, 3]) }));
      if (type === 'refused') resolve();
    });
  });
  const before = (await samples()).get('potluck_refusals_total{code="malformed"}') ?? 0;
  await welcome;
  const seen = await samples();
  assert.equal(seen.get('potluck_connections{role="observer"}'), 1);
  assert.equal(seen.get('potluck_refusals_total{code="malformed"}'), before + 1);
  const closed = new Promise((resolve) => socket.on('close', resolve));
  socket.close();
  await closed;
  assert.equal((await samples()).get('potluck_connections{role="observer"}'), undefined);
});

test('bytes of blobs up and down', async () => {
  const bytes = new Uint8Array(100).fill(7);
  const hash = sha256Hex(bytes);
  const identity = await createIdentity();
  const signature = bytesToHex(await identity.sign(uploadChallenge(hub.id, hash)));
  const headers = { 'x-potluck-peer': identity.id, 'x-potluck-signature': signature };
  const answer = await fetch(`${hub.url}/blobs/${hash}`, { method: 'PUT', body: bytes, headers });
  assert.equal(answer.status, 201);
  await (await fetch(`${hub.url}/blobs/${hash}`)).arrayBuffer();
  await (await fetch(`${hub.url}/blobs/${hash}`)).arrayBuffer();
  const seen = await samples();
  assert.equal(seen.get('potluck_blob_bytes_total{direction="up"}'), 100);
  assert.equal(seen.get('potluck_blob_bytes_total{direction="down"}'), 200);
});

test('the time of appends: those that became durable, and the store stays what it was', async () => {
  const metrics = openMetrics();
  const store = metrics.timed(createMemoryLogStore());
  await store.append([new Uint8Array([1])]);
  await store.append([new Uint8Array([2])]);
  await assert.rejects(() => store.append([new Uint8Array(0)]), { code: 'bad-entry' });
  assert.equal(store.size, 2);
  assert.equal(parse(await metrics.text()).get('potluck_append_duration_seconds_count'), 2);
});

test('only programs of its machine may read it, unless the operator opens it', async (t) => {
  const forwarded = { headers: { 'x-forwarded-for': '203.0.113.9' } };
  const answer = await fetch(`${hub.url}/metrics`, forwarded);
  assert.equal(answer.status, 403);
  assert.equal(((await answer.json()) as { error: { code: string } }).error.code, 'not-public');
  const open = await openHub({ folder: join(root, 'open'), host: '127.0.0.1', port: 0, metrics_public: true });
  t.after(() => open.close());
  assert.equal((await fetch(`${open.url}/metrics`, forwarded)).status, 200);
});
