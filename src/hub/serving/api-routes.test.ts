// The API of a hub: whom its operator trusts bounds whom a caller may trust.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Hono } from 'hono';
import { systemClock } from '../../protocol/clock.ts';
import type { AnswerServer } from '../../serving/answers.ts';
import type { UsageBook } from '../../serving/api/usage-book.ts';
import type { Cosignatures } from '../cosignatures.ts';
import type { PublicLog } from '../log-routes.ts';
import { openRateLimits } from '../rate-limits.ts';
import { serveApi } from './api-routes.ts';
import type { Caller } from './caller.ts';

const [ADA, BOB] = ['a', 'b'].map((digit) => digit.repeat(64));

const NOBODY: AnswerServer = {
  models: () => [],
  answer: () => assert.fail('nobody asks'),
  embed: () => assert.fail('nobody asks'),
};

const POOL = {
  serverFor: () => NOBODY,
  served: () => [],
  fleet: () => ({ devices: 0, answers: 0, rows: [], day: { tokens: [], answers: [], no_room: [], waiting: [] } }),
};

/** What nobody needs here. */
const PAID = {
  randomBytes: (length: number) => new Uint8Array(length),
  receipts: { partsOf: () => [], prove: async () => null },
  ...{ log: {} as PublicLog, cosignatures: {} as Cosignatures },
};

/** The owners that the pool is asked for when a caller trusts some; a number is the status of a refusal. */
async function ownersFor(owners: ReadonlySet<string> | null, trust: string | null): Promise<unknown> {
  let seen: Caller['owners'] = null;
  const app = new Hono();
  const serverFor = (caller: Caller): AnswerServer => ({
    ...NOBODY,
    models: () => {
      seen = caller.owners;
      return [];
    },
  });
  serveApi(
    app,
    { keys: null, owners },
    {
      pool: { ...POOL, serverFor },
      ...{ clock: systemClock, ...PAID, onError: assert.fail, rates: openRateLimits(systemClock) },
    },
  );
  const response = await app.request('/v1/models', { headers: trust === null ? {} : { 'potluck-trust': trust } });
  return response.status === 200 ? seen && [...seen] : response.status;
}

test("a caller's trust and the operator's both hold", async () => {
  assert.equal(await ownersFor(null, null), null);
  assert.deepEqual(await ownersFor(null, ADA), [ADA]);
  assert.deepEqual(await ownersFor(new Set([ADA]), null), [ADA]);
  assert.deepEqual(await ownersFor(new Set([ADA]), `${ADA},${BOB}`), [ADA]);
  assert.equal(await ownersFor(new Set([ADA]), BOB), 400);
});

test('the usage of all keys is for programs of this machine, and for no page of others under whatever name', async () => {
  const usage: UsageBook = { add: () => {}, rows: () => [], close: () => {} };
  const keys = { callerOf: async () => null, all: async () => [] };
  const app = new Hono();
  serveApi(
    app,
    { keys, owners: null, usage },
    {
      pool: POOL,
      ...{ clock: systemClock, ...PAID, onError: assert.ifError, rates: openRateLimits(systemClock) },
    },
  );
  const status = async (remoteAddress: string, headers: Record<string, string>): Promise<number> =>
    (await app.request('/v1/usage', { headers }, { incoming: { socket: { remoteAddress }, headers } })).status;
  assert.equal(await status('127.0.0.1', { host: 'localhost:7700' }), 200);
  assert.equal(await status('::1', { host: '[::1]:7700' }), 200);
  const wrong: [string, Record<string, string>][] = [
    ['10.0.0.7', { host: 'localhost:7700' }],
    ['127.0.0.1', { host: 'hub.example' }],
    ['127.0.0.1', { host: 'localhost', 'x-forwarded-for': '10.0.0.7' }],
    ['127.0.0.1', { host: 'localhost', origin: 'https://evil.example' }],
    ['127.0.0.1', { host: 'localhost', authorization: 'Bearer sk-potluck-x' }],
    ['127.0.0.1', {}],
  ];
  for (const [address, headers] of wrong) assert.equal(await status(address, headers), 401, JSON.stringify(headers));
});
