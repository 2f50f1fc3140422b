// The options of a process that is one of several of a hub: what is missing or wrong is one clear line, and what may pass is known.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HubError } from '../hub/errors.ts';
import { LedgerError } from '../ledger/errors.ts';
import { S3Error } from '../ledger/s3/errors.ts';
import { clusterOf, mayStartAgain, roles } from './hub-cluster.ts';

test('roles are known ones', () => {
  assert.deepEqual([...roles('front, merger')], ['front', 'merger']);
  assert.throws(() => roles('front,judge'), /expected some of sequencer, front, merger, gateway.*got "judge"/);
});

test('a hub of several processes needs NATS and a bucket; one of one process has no roles', () => {
  assert.equal(clusterOf({}), undefined);
  assert.throws(() => clusterOf({ roles: new Set(['front']) }), { code: 'bad-argument', message: /--nats, got none/ });
  assert.throws(() => clusterOf({ region: 'here' }), { code: 'bad-argument', message: /--nats, got none/ });
  assert.throws(() => clusterOf({ nats: 'nats://127.0.0.1:4222' }), {
    code: 'bad-argument',
    message: /--s3, got none/,
  });
  const s3 = 'http://127.0.0.1:9000/bucket';
  assert.throws(() => clusterOf({ nats: 'nats://me:secret@127.0.0.1:4222', s3 }, {}), { code: 'no-bus' });
  const place = clusterOf({ nats: 'nats://127.0.0.1:4222', s3 }, {})!;
  assert.deepEqual([place.nats.servers, place.roles.size, place.region], [['nats://127.0.0.1:4222'], 4, null]);
});

test('who was fenced, or lost its bucket or NATS, starts again; who has another log, or other rules, does not', () => {
  const passes = [
    new LedgerError('fenced', ''),
    new LedgerError('write-failed', ''),
    new S3Error('s3-unreachable', ''),
    new HubError('no-bus', ''),
  ];
  assert.deepEqual(passes.map(mayStartAgain), [true, true, true, true]);
  const lasts = [
    new LedgerError('log-rewritten', ''),
    new HubError('other-rules', ''),
    new S3Error('s3-wrong-key', ''),
  ];
  assert.deepEqual([...lasts, new Error('')].map(mayStartAgain), [false, false, false, false]);
});
