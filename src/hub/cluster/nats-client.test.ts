// The client of NATS is found where it lies, and nothing else is taken for it.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { NATS_CLIENT_VERSION, natsClient } from './nats-client.ts';

test('it is found here; where it is missing, or another, the command that installs it is named', (t) => {
  assert.equal(typeof natsClient().connect, 'function');
  const folder = mkdtempSync(join(tmpdir(), 'potluck-nats-client-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const command = `npm install .* @nats-io/transport-node@${NATS_CLIENT_VERSION.replaceAll('.', '\\.')}$`;
  const refused = (fact: string): void =>
    assert.throws(
      () => natsClient([folder]),
      (error: Error & { code?: string }) =>
        error.code === 'no-bus' && new RegExp(`^${fact}; this installs it: ${command}`).test(error.message),
    );
  refused('the client of NATS is not installed');
  const at = join(folder, 'node_modules', '@nats-io', 'transport-node');
  mkdirSync(at, { recursive: true });
  writeFileSync(join(at, 'package.json'), '{"version":"2.0.0"}');
  refused('expected version 3.4.0 of the client of NATS, found 2.0.0');
});
