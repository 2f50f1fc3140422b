// Whose devices may read a request: a header narrows what a key allows and never widens it, and what cannot be kept is refused.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '../../protocol/clock.ts';
import type { AnswerServer, OfferedModel } from '../answers.ts';
import { API_LIMITS } from '../limits.ts';
import { type ApiOptions, openaiApi } from './app.ts';
import { ApiError } from './errors.ts';
import { KeyRecordSchema, keysIn, makeKey } from './keys.ts';
import { trustedOwners } from './trust.ts';

const [ADA, BOB, EVE] = ['a', 'b', 'e'].map((digit) => digit.repeat(64));
const UNLIMITED = { requests_per_minute: null, tokens_per_minute: null };
const MODEL: OfferedModel = {
  ...{ name: 'small', hash: '0'.repeat(64), quantisation: 'f32', engine: 'none', context_tokens: 64 },
  ...{ created_ms: 0, licence: null, chat: true, tools: false, embeddings: false },
};

/** A server that writes, as its answer, who it takes for trusted. */
const serverOf = (word: string): AnswerServer => ({
  models: () => [MODEL],
  async *answer() {
    yield { kind: 'begun', prompt_tokens: 1 };
    yield { kind: 'ended', text: word, reason: 'stop', end_id: null, written_tokens: 1 };
  },
  embed: () => Promise.reject(new Error('none')),
});
const trusting = (owners: ReadonlySet<string>): AnswerServer => serverOf([...owners].sort().join());

function apiWith(options: Partial<ApiOptions>) {
  const app = openaiApi(serverOf('any device'), {
    ...{ clock: systemClock, newId: () => '1', keys: null, trusting, onError: () => {}, ...options },
  });
  const ask = (headers: Record<string, string>) =>
    app.request('/v1/chat/completions', {
      ...{ method: 'POST', headers },
      body: JSON.stringify({ model: 'small', messages: [{ role: 'user', content: 'x' }] }),
    });
  const said = async (headers: Record<string, string>): Promise<string> => {
    const body = (await (await ask(headers)).json()) as {
      choices?: { message: { content: string } }[];
      error?: { message: string; param: string };
    };
    return body.choices ? body.choices[0].message.content : `refused: ${body.error!.param}`;
  };
  return { app, ask, said };
}

test('a header narrows what a key allows', () => {
  const accounts = fc.subarray([ADA, BOB, EVE], { minLength: 1 });
  fc.assert(
    fc.property(fc.option(accounts), accounts, (owners, named) => {
      const allowed = owners ?? [ADA, BOB, EVE];
      assert.deepEqual(trustedOwners(undefined, { owners }), owners && new Set(owners));
      assert.deepEqual(trustedOwners(' any ', { owners }), owners && new Set(owners));
      const both = named.filter((one) => allowed.includes(one));
      if (both.length === 0) assert.throws(() => trustedOwners(named.join(), { owners }), ApiError);
      else assert.deepEqual(trustedOwners(named.join(', '), { owners }), new Set(both));
    }),
  );
});

test('a header that says nothing, or too much, is refused', () => {
  for (const wrong of ['', 'yours', 'Mine', `${ADA};${BOB}`, ADA.slice(1), `${ADA},`, 'mine,any']) {
    assert.throws(() => trustedOwners(wrong, { owners: null }), /potluck-trust: expected any, mine/, wrong);
  }
  const many = Array.from({ length: API_LIMITS.owners + 1 }, () => ADA).join();
  assert.throws(() => trustedOwners(many, { owners: null }), /1 to 64 accounts/);
});

describe('at the door', () => {
  const { key, record } = makeKey('diary', { ...UNLIMITED, owners: [ADA, BOB] }, 0, randomBytes);
  const free = makeKey('free', UNLIMITED, 0, randomBytes);
  const known = new Map([record, free.record].map((one) => [one.hash, one]));
  const keys = keysIn(async () => known);
  const as = (value: string, trust?: string) => ({
    authorization: `Bearer ${value}`,
    ...(trust !== undefined && { 'potluck-trust': trust }),
  });

  test('a key with owners has them in every request, whatever the request says', async () => {
    const { said, app } = apiWith({ keys });
    for (const trust of [undefined, 'any', 'mine', `${ADA},${BOB},${EVE}`]) {
      assert.equal(await said(as(key, trust)), `${ADA},${BOB}`, trust);
    }
    assert.equal(await said(as(key, BOB)), BOB);
    assert.equal(await said(as(key, EVE)), 'refused: potluck-trust');
    const models = async (headers: Record<string, string>) =>
      ((await (await app.request('/v1/models', { headers })).json()) as { data: { owners: unknown }[] }).data[0].owners;
    assert.deepEqual(await models(as(key)), [ADA, BOB]);
    assert.equal(await models(as(free.key)), null);
  });

  test('a key without owners may name some, and has none of its own', async () => {
    const { said } = apiWith({ keys });
    assert.equal(await said(as(free.key)), 'any device');
    assert.equal(await said(as(free.key, EVE)), EVE);
    assert.equal(await said(as(free.key, 'mine')), 'refused: potluck-trust');
  });

  test('without keys, mine are the devices of this machine', async () => {
    assert.equal(await apiWith({ own: [EVE] }).said({ 'potluck-trust': 'mine' }), EVE);
    assert.equal(await apiWith({ own: [EVE] }).said({}), 'any device');
    assert.equal(await apiWith({ own: [] }).said({ 'potluck-trust': 'mine' }), 'refused: potluck-trust');
    // Who comes with a key has not become the owner of the machine by that.
    assert.equal(await apiWith({ own: [EVE], keys }).said(as(free.key, 'mine')), 'refused: potluck-trust');
  });

  test('a server that cannot tell whose devices answer refuses, and does not ignore', async () => {
    const { said, ask } = apiWith({ keys, trusting: undefined });
    assert.equal(await said(as(key)), 'refused: potluck-trust');
    assert.equal((await ask(as(free.key, EVE))).status, 400);
    assert.equal(await said(as(free.key)), 'any device');
  });

  test('a record from before there were owners trusts every device', () => {
    const { owners: _, ...old } = free.record;
    assert.equal(KeyRecordSchema.parse(old).owners, null);
  });
});
