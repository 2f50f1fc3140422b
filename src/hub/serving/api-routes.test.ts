// The API of a hub: whom its operator trusts bounds whom a caller may trust.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Hono } from 'hono';
import { systemClock } from '../../protocol/clock.ts';
import type { AnswerServer } from '../../serving/answers.ts';
import { openRateLimits } from '../rate-limits.ts';
import { serveApi } from './api-routes.ts';
import type { Caller } from './pool.ts';

const [ADA, BOB] = ['a', 'b'].map((digit) => digit.repeat(64));

/** The owners that the pool is asked for when a caller trusts some; a number is the status of a refusal. */
async function ownersFor(owners: ReadonlySet<string> | null, trust: string | null): Promise<unknown> {
  let seen: Caller['owners'] = null;
  const app = new Hono();
  const serverFor = (caller: Caller): AnswerServer => ({
    models: () => {
      seen = caller.owners;
      return [];
    },
    answer: () => assert.fail('nobody asks'),
    embed: () => assert.fail('nobody asks'),
  });
  serveApi(
    app,
    { keys: null, owners },
    {
      pool: { serverFor, fleet: () => ({ devices: 0, answers: 0, rows: [] }) },
      ...{ clock: systemClock, randomHex: () => '1', onError: assert.fail, rates: openRateLimits(systemClock) },
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
