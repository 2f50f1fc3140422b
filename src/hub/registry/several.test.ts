// A hub of several processes follows a registry: whoever leads writes what it says, all know it, and a device that asks another process is looked for.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../protocol/clock.ts';
import { createIdentity } from '../../protocol/identity.ts';
import { type ClusterProcess, openProcess, shared } from '../cluster/testing/processes.ts';
import { askLeader, followRegistry, type RegistryFollower } from './follow.ts';
import { registryHub } from './testing/registry-hub.ts';

const until = async (what: string, holds: () => boolean | Promise<boolean>): Promise<void> => {
  const late = AbortSignal.timeout(20_000);
  while (!(await holds())) {
    assert.ok(!late.aborted, what);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

test('the leader writes what the registry says, for devices that ask any process, and so does the next leader', async (t) => {
  const { registry, folder, ada, say, bind } = await registryHub(t);
  const errors: unknown[] = [];
  const follow = ({ name, core, member }: ClusterProcess): RegistryFollower => {
    mkdirSync(join(folder, name));
    return followRegistry({
      ...{
        url: registry.url,
        folder: join(folder, name),
        sequencer: core.sequencer,
        post: member.post,
        clock: systemClock,
      },
      onError: (error) => errors.push(error),
    });
  };

  const of = shared();
  const first = await openProcess(of, 'first');
  await until('the first leads', () => first.core.sequencer.leads);
  const second = await openProcess(of, 'second');
  const states = [first, second].map(({ core }) => core.sequencer.state);
  const one = follow(first);
  await until('both know the registry', () => states.every((state) => state.registry?.hub === registry.id));

  // A front end that follows no registry itself asks whoever leads.
  const [laptop, phone] = [createIdentity(), createIdentity()];
  await bind(laptop);
  const asked = { state: states[1], post: second.member.post };
  assert.equal(askLeader(asked, laptop.id), false, 'not at once');
  await until('the laptop is known', () => askLeader(asked, laptop.id));
  assert.deepEqual(
    states.map(({ devices }) => devices.get(laptop.id)?.owner),
    [ada.id, ada.id],
  );

  await one.close();
  const two = follow(second);
  await first.close();
  await until('the second leads', () => second.core.sequencer.leads);
  await bind(phone);
  await until('the phone is known', () => two.want(phone.id));
  await say(ada, { type: 'device.revoked', version: 1, device: laptop.id });
  await until('the laptop is revoked', () => states[1].devices.get(laptop.id)?.revoked === true);
  await two.close();
  await second.close();
  assert.deepEqual(errors, []);
});
