// Who may create runs: strangers can fill their part of a hub and not the rest, what is over counts nowhere, and a refusal says what to do.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bindDevice } from '../core/devices.ts';
import { initialState, type NetworkState, type RunState } from '../core/state.ts';
import { openRunPolicy, type RunPolicy, STRANGERS_RUNS } from './run-policy.ts';

const NAMED = 'e'.repeat(64);
const ADDRESS = '203.0.113.9';

/** Runs as far as the policy looks at them. */
function network() {
  const state: NetworkState = initialState('a'.repeat(64));
  let runs = 0;
  const create = (policy: RunPolicy, owner: string, address: string | null): RunState => {
    policy.check(owner, address, state, 0);
    const here = { attendance: { workers: 1 }, validators: [], empty_since_ms: 0, round: 0 };
    const run = { id: `run ${runs++}`, owner, phase: 'gathering', ...here } as unknown as RunState;
    state.runs.set(run.id, run);
    policy.created(run.id, address, state);
    return run;
  };
  return { state, create };
}
const full = { code: 'refused', details: { refusal: 'too-many-runs' } };

describe('on a hub that strangers reach', () => {
  test('they fill their part with any number of keys and addresses, and the named still have room', () => {
    const policy = openRunPolicy('limited', new Set([NAMED]));
    const { create } = network();
    for (let i = 0; i < STRANGERS_RUNS.together; i++) create(policy, `key ${i}`, `address ${i}`);
    assert.throws(() => create(policy, 'another key', 'another address'), {
      ...full,
      message:
        /^this hub takes at most 48 unfinished runs of all whom its operator has not named: .*potluck hub --owners another key/,
    });
    for (let i = 0; i < 8; i++) create(policy, NAMED, ADDRESS);
    assert.throws(() => create(policy, NAMED, ADDRESS), { ...full, message: /an owner has at most 8 unfinished runs/ });
  });

  test('one account, and one address, has a few', () => {
    const policy = openRunPolicy('limited', new Set([NAMED]));
    const { create } = network();
    for (let i = 0; i < STRANGERS_RUNS.of_account; i++) create(policy, 'key', `address ${i}`);
    assert.throws(() => create(policy, 'key', 'new address'), { ...full, message: /runs of this account: end one/ });
    for (let i = 0; i < STRANGERS_RUNS.of_address; i++) create(policy, `key ${i}`, ADDRESS);
    assert.throws(() => create(policy, 'new key', ADDRESS), { ...full, message: /runs of this address/ });
    create(policy, NAMED, ADDRESS);
    create(policy, 'new key', null);
  });

  test('what is over counts nowhere', () => {
    const policy = openRunPolicy('limited', new Set());
    const { create } = network();
    for (let i = 0; i < 500; i++) create(policy, 'key', ADDRESS).phase = 'finished';
    const open = Array.from({ length: STRANGERS_RUNS.of_account }, () => create(policy, 'key', ADDRESS));
    assert.throws(() => create(policy, 'key', ADDRESS), full);
    open[1].phase = 'finished';
    create(policy, 'key', ADDRESS);
  });

  test('a device creates in the name of its owner', () => {
    const policy = openRunPolicy('limited', new Set());
    const { create, state } = network();
    for (let i = 0; i < STRANGERS_RUNS.of_account; i++) create(policy, 'owner', `address ${i}`);
    bindDevice(state, 'device', { owner: 'owner', expires_ms: 99 });
    assert.throws(() => create(policy, 'device', 'new'), full);
  });

  test('programs of its own machine are its operator’s', () => {
    const policy = openRunPolicy('limited', new Set());
    const { create } = network();
    for (let i = 0; i < 8; i++) create(policy, 'key', null);
    assert.throws(() => create(policy, 'key', null), full);
  });
});

test('where only the named may, nobody else may, also on this machine', () => {
  const policy = openRunPolicy('named', new Set([NAMED]));
  const { create } = network();
  create(policy, NAMED, ADDRESS);
  for (const address of [ADDRESS, null]) {
    assert.throws(() => create(policy, 'key', address), {
      code: 'refused',
      details: { refusal: 'not-named' },
      message: /--owners key$/,
    });
  }
});

test('on a hub for its own machine anybody may', () => {
  const policy = openRunPolicy('anybody', new Set());
  const { create } = network();
  for (let i = 0; i < 64; i++) create(policy, `key ${i >> 3}`, ADDRESS);
});
