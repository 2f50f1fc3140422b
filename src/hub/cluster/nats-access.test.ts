// Where NATS is: addresses as people write them, secrets never among them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { natsAccess } from './nats-access.ts';

const SEED = `SU${'A'.repeat(56)}`;
const FILES: Record<string, string> = {
  seed: `-----BEGIN USER NKEY SEED-----\n${SEED}\n------END USER NKEY SEED------\n`,
  other: 'nothing',
  ca: 'CA',
};
const read = (path: string): string => {
  const text = FILES[path];
  if (text === undefined) throw new Error(`ENOENT: no such file '${path}'`);
  return text;
};
const refused = (addresses: string, environment: Record<string, string>, words: RegExp): void =>
  assert.throws(
    () => natsAccess(addresses, environment, read),
    (error: Error & { code?: string }) => error.code === 'no-bus' && words.test(error.message),
    addresses,
  );

test('addresses are separated by commas', () => {
  const { servers, user, ca } = natsAccess('nats://a:4222, tls://[::1]:1,nats://b', {}, read);
  assert.deepEqual([servers, user, ca], [['nats://a:4222', 'tls://[::1]:1', 'nats://b'], undefined, undefined]);
});

test('credentials come from the environment', () => {
  const environment = { NATS_USER: 'u', NATS_PASSWORD: 'p', NATS_NKEY: 'seed', NATS_CA: 'ca' };
  const { user, password, nkey_seed, ca } = natsAccess('nats://a', environment, read);
  assert.deepEqual([user, password, nkey_seed, ca], ['u', 'p', SEED, 'CA']);
});

test('a password among the arguments is refused, and not repeated', () => {
  const words = /^nats:\/\/a:1: expected an address without user and password, which belong into NATS_USER and /;
  refused('nats://b,nats://me:secret@a:1', {}, words);
  refused('nats://secret@a:1', {}, words);
});

test('what is no address is refused', () => {
  for (const wrong of ['', 'a:4222', 'http://a', 'nats://a,', 'nats://a/path', 'nats:', 'nats://']) {
    refused(wrong, {}, /^expected NATS servers as nats:\/\/host:4222/);
  }
});

test('half of a pair, and files that are missing or something else, are refused', () => {
  refused('nats://a', { NATS_USER: 'u' }, /both NATS_USER and NATS_PASSWORD/);
  refused('nats://a', { NATS_CERT: 'ca' }, /both NATS_CERT and NATS_KEY/);
  refused('nats://a', { NATS_NKEY: 'other' }, /expected a file with a user's seed/);
  refused('nats://a', { NATS_NKEY: 'missing' }, /^NATS_NKEY: expected a file, ENOENT/);
});
