// The rules have a version: a recorded log, with every kind of event in it, gives the very same state as when the version was set.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { decode, encode } from '@ipld/dag-cbor';
import { EventBodySchema, type LoggedEvent } from './events.ts';
import { apply, RULES_VERSION } from './reduce.ts';
import { initialState } from './state.ts';
import { stateHash } from './state-bytes.ts';
import { openCast } from './testing/cast.ts';
import { drawEvents } from './testing/drawn-events.ts';

const RECORDED = join(import.meta.dirname, '..', '..', 'test', 'fixtures', 'rules-history.cbor.gz');
/** Drawn histories that together have every kind of event. `POTLUCK_RECORD_RULES=1 node --test src/core/rules-version.test.ts` draws them anew. */
const SEEDS = [3, 49, 55, 58];
/** One more, in which runs move between logs. */
const WITH_MOVES = 27;
/** And one of a log that follows a registry. */
const WITH_REGISTRY = 5;
const EVENTS = 290;

const PINNED = {
  version: 16,
  state: '36aa5b601c98f0af 5d913f1907b5b945 1669cecc1a90a84c 6bd127c076890374 efc5b0e67035a5a7 eb9b18a175a4876d',
};

async function record(): Promise<void> {
  const cast = await openCast();
  const histories = [...SEEDS, WITH_MOVES, WITH_REGISTRY].map((seed) => {
    const state = initialState(cast.hub);
    const next = drawEvents(cast, state, seed, { moves: seed === WITH_MOVES, registry: seed === WITH_REGISTRY });
    const taken: LoggedEvent[] = [];
    while (taken.length < EVENTS) {
      const event = next();
      if (apply(state, event) === null) taken.push(event);
    }
    return taken;
  });
  writeFileSync(RECORDED, gzipSync(encode({ hub: cast.hub, histories })));
}

test('a log gives the state that its version of the rules gave', async () => {
  if (process.env.POTLUCK_RECORD_RULES) await record();
  const { hub, histories } = decode(gunzipSync(readFileSync(RECORDED))) as { hub: string; histories: LoggedEvent[][] };
  const kinds = new Set<string>();
  const hashes = histories.map((events) => {
    const state = initialState(hub);
    for (const [i, event] of events.entries()) {
      assert.equal(apply(state, event), null, `event ${i}, ${event.body.type}`);
      kinds.add(event.body.type);
    }
    return stateHash(state);
  });
  assert.deepEqual([...kinds].sort(), EventBodySchema.options.map(({ shape }) => shape.type.value).sort());
  const now = { version: RULES_VERSION, state: hashes.map((hash) => hash.slice(0, 16)).join(' ') };
  assert.deepEqual(now, PINNED, 'the rules have changed: raise RULES_VERSION, and pin the state that they give now');
});
