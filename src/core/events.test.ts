// The events' schemas: names that could pass for others or rewrite a terminal are none.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signEvent } from '../protocol/envelope.ts';
import { createIdentity } from '../protocol/identity.ts';
import { decodeEvent } from './codec.ts';
import { type EventBody, EventBodySchema } from './events.ts';

const joined = (name: string, runtime = 'native') => ({
  ...{ type: 'peer.joined', version: 1, run: 'a'.repeat(64), session: 0, role: 'worker', name, runtime },
});
const isTaken = (body: unknown): boolean => EventBodySchema.safeParse(body).success;

test('names are text in any script', () => {
  for (const name of ['ada', 'Ada’s laptop', 'Жанна', 'אדה', 'عادل', '阿达', 'é 👩‍💻', 'x'.repeat(80)]) {
    assert.ok(isTaken(joined(name)), name);
  }
});

test('names without control characters, line breaks and marks of direction', () => {
  const marks = ['\0', '\x07', '\t', '\n', '\r', '\x1b[2J', '\x7f', '\x85', '\x9b31m', '\u061c', '\u200e', '\u200f'];
  const turns = ['\u2028', '\u2029', '\u202a', '\u202e', '\u2066', '\u2069'];
  for (const mark of [...marks, ...turns]) {
    assert.ok(!isTaken(joined(`ada${mark}adam`)), JSON.stringify(mark));
    assert.ok(!isTaken(joined('ada', `native${mark}`)), JSON.stringify(mark));
  }
  for (const name of ['', 'x'.repeat(81)]) assert.ok(!isTaken(joined(name)));
});

test('a version that this build does not know is called older or newer, not malformed', async () => {
  const identity = createIdentity();
  const decoded = async (body: EventBody) => decodeEvent(await signEvent(identity, body));
  assert.equal((await decoded({ type: 'tick', version: 1, time_ms: 5 })).body.type, 'tick');
  const newer = { type: 'tick', version: 9, time_ms: 5 } as unknown as EventBody;
  await assert.rejects(decoded(newer), {
    code: 'unknown-version',
    message: 'a newer Potluck wrote this tick: its version is 9, and this Potluck knows 1',
    details: { type: 'tick', version: 9 },
  });
  const older = { type: 'model.evaluated', version: 1 } as unknown as EventBody;
  await assert.rejects(decoded(older), {
    code: 'unknown-version',
    message: /^an older Potluck wrote this model.evaluated/,
  });
  await assert.rejects(decoded({ type: 'coin.minted', version: 9 } as unknown as EventBody), { code: 'malformed' });
});
