// A log follows a registry: each head of it that this log has seen goes on from the one before, and what counts here is shown to be under it.
import { hexToBytes } from '@noble/hashes/utils.js';
import { EMPTY_ROOT, verifyConsistency } from '../../ledger/merkle.ts';
import type { RegistrySeen } from '../events/registry-seen.ts';
import { refusalOfHead } from '../moving/foreign-event.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { fillStages } from '../rounds/stages.ts';
import type { NetworkState } from '../state.ts';
import { applyFact, type Fact, openFact, refusalOfFacts } from './facts.ts';

/** Why this log may not have seen so much of a registry. */
export function refusalOfSeen(state: NetworkState, body: RegistrySeen): Refusal | null {
  const { registry, head } = body;
  const wrong = refusalOfRegistry(state, registry);
  if (wrong) return wrong;
  const [size, root] = state.registry ? [state.registry.size, hexToBytes(state.registry.root)] : [0, EMPTY_ROOT];
  if (state.registry && head.size === size && body.facts.length === 0) {
    return refuse('nothing-new', `this log has seen ${size} entries of the registry, and no fact comes with them`);
  }
  if (!verifyConsistency(size, head.size, body.consistency, root, hexToBytes(head.root))) {
    return refuse(
      'bad-proof',
      `the registry's head of ${head.size} entries is not shown to go on from the ${size} seen here`,
    );
  }
  const facts = openSeen(body);
  return 'code' in facts ? facts : refusalOfFacts(state, registry, facts);
}

/** A log has one registry for good, and none where it has named devices or addresses itself: two places might contradict each other. */
function refusalOfRegistry(state: NetworkState, registry: string): Refusal | null {
  if (registry === state.hub) return refuse('wrong-registry', `a log is not its own registry, got ${registry}`);
  if (state.registry) {
    const { hub } = state.registry;
    return hub === registry ? null : refuse('wrong-registry', `expected the registry ${hub}, got ${registry}`);
  }
  const [devices, addresses] = [state.devices.size, state.addresses.size];
  if (devices + addresses === 0) return null;
  return refuse(
    'wrong-registry',
    `a log begins with its registry: this one names ${devices} devices and ${addresses} addresses itself`,
  );
}

/** What was opened: the hub's check, the core's and the application ask for the same one after the other, and it follows from the body alone. */
const known = new WeakMap<RegistrySeen, Fact[] | Refusal>();

/** The facts that come with a head of the registry, all signatures and proofs checked. */
function openSeen(body: RegistrySeen): Fact[] | Refusal {
  const before = known.get(body);
  if (before) return before;
  const made = refusalOfHead({ hub: body.registry, head: body.head }) ?? factsOf(body);
  known.set(body, made);
  return made;
}

function factsOf({ facts, head }: RegistrySeen): Fact[] | Refusal {
  const opened: Fact[] = [];
  for (const placed of facts) {
    const fact = openFact(placed, head);
    if ('code' in fact) return fact;
    opened.push(fact);
  }
  return opened;
}

/** Takes facts in; call it only after `refusalOfSeen` returned null. */
export function applySeen(state: NetworkState, body: RegistrySeen): void {
  const { registry: hub, url, head } = body;
  state.registry = { hub, url, size: head.size, root: head.root };
  const facts = openSeen(body);
  if ('code' in facts) return;
  for (const fact of facts) applyFact(state, fact);
  // As after device.bound.
  if (facts.some(({ body }) => body.type === 'device.bound'))
    for (const run of state.runs.values()) fillStages(state, run);
}
