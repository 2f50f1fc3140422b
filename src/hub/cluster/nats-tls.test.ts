// The bus over TLS: who is vouched for is spoken to, who is not is refused in one line, and nothing is said in the clear where TLS is asked for.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { HubError } from '../errors.ts';
import { openNatsBus } from './nats-bus.ts';
import { NATS_SKIPPED, type NatsServers, startNats } from './testing/nats-server.ts';

const skip = NATS_SKIPPED || (spawnSync('openssl', ['version']).status !== 0 && 'openssl is not installed');
const folder = mkdtempSync(join(tmpdir(), 'potluck-nats-tls-'));
const file = (name: string): string => join(folder, name);
let nats: NatsServers;

function openssl(...args: string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
}

/** A certificate for this machine's own address, by an authority of our own. */
function certify(): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=Test', '-days', '2');
  openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=127.0.0.1');
  writeFileSync(file('names'), 'subjectAltName=IP:127.0.0.1');
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'names', '-days', '2'];
  openssl('x509', '-req', '-in', 'server.csr', ...signed, '-out', 'server.pem');
}

before(async () => {
  if (skip) return;
  certify();
  nats = await startNats({ config: `tls { cert_file: "${file('server.pem')}", key_file: "${file('server.key')}" }` });
});
after(async () => {
  await nats?.close();
  rmSync(folder, { recursive: true });
});

const open = (server: string, ca?: string) => openNatsBus({ servers: [server], name: 'test', ca, onError: () => {} });
async function refusal(server: string, ca?: string): Promise<HubError> {
  try {
    await (await open(server, ca)).close();
  } catch (error) {
    return error as HubError;
  }
  throw new Error('it was let in');
}
const overTls = (): string => nats.urls[0].replace('nats:', 'tls:');

test('a server that the authority vouches for is spoken to', { skip }, async () => {
  const bus = await open(overTls(), readFileSync(file('ca.pem'), 'utf8'));
  bus.serve('a', 'g', async (bytes) => bytes);
  await bus.flushed();
  assert.deepEqual([...(await bus.request('a', new Uint8Array([7]), 1000))], [7]);
  await bus.close();
});

test('one that is vouched for under another name is refused', { skip }, async () => {
  const named = overTls().replace('127.0.0.1', 'localhost');
  const { code, message } = await refusal(named, readFileSync(file('ca.pem'), 'utf8'));
  assert.equal(code, 'no-bus');
  assert.match(message, /does not match certificate/);
});

test('one that nobody known vouches for is refused', { skip }, async () => {
  for (const server of [overTls(), nats.urls[0]]) {
    const { code, message } = await refusal(server);
    assert.equal(code, 'no-bus');
    assert.match(
      message,
      /^NATS at \w+:\/\/127\.0\.0\.1:\d+: expected a server that answers, got ".*(issuer|self.signed|verify)/,
    );
  }
});

test('one without TLS is refused where TLS is asked for', { skip }, async () => {
  const plain = await startNats();
  try {
    const { code, message } = await refusal(plain.urls[0].replace('nats:', 'tls:'));
    assert.equal(code, 'no-bus');
    assert.match(message, /does not support 'tls'/);
  } finally {
    await plain.close();
  }
});
