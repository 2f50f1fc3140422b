// A hub that follows a registry takes in what it has seen, also after its log could not be written for a while: an audit says whether it did.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { EventBody } from '../../core/events.ts';
import { initialState } from '../../core/state.ts';
import { apply } from '../../core/testing/checked-apply.ts';
import { systemClock } from '../../protocol/clock.ts';
import { createIdentity } from '../../protocol/identity.ts';
import { followRegistry } from './follow.ts';
import { registryHub } from './testing/registry-hub.ts';

test('a revocation that could not be written is written at the next look, before anything that came later', async (t) => {
  const { registry, folder, ada, say, bind } = await registryHub(t);
  const [laptop, phone] = [createIdentity(), createIdentity()];

  const state = initialState(createIdentity().id);
  const written: EventBody[] = [];
  let [fails, failed] = [false, 0];
  const sequencer = {
    ...{ state, leads: true },
    async write(body: EventBody) {
      if (fails) throw new Error(`write ${++failed}`);
      const event = { id: `${written.length}`.padStart(64, '0'), author: state.hub, body };
      assert.equal(apply(state, event), null);
      return { event, index: written.push(body) - 1 };
    },
  };
  mkdirSync(join(folder, 'hub'));
  const follower = followRegistry({
    ...{ url: registry.url, folder: join(folder, 'hub'), sequencer, clock: systemClock, onError() {} },
  });
  t.after(() => follower.close());
  await bind(laptop);
  assert.equal(await follower.want(laptop.id), true);
  fails = true;
  await say(ada, { type: 'device.revoked', version: 1, device: laptop.id });
  await bind(phone);
  assert.equal(await follower.want(phone.id), false);
  assert.ok(failed > 0);
  fails = false;
  assert.equal(await follower.want(phone.id), true);
  assert.equal(state.devices.get(laptop.id)?.revoked, true);
  const facts = written.flatMap((body) => (body.type === 'registry.seen' ? body.facts.map(({ index }) => index) : []));
  assert.deepEqual(facts, [0, 1, 2]);
});
