// Two devices at different processes of a hub, whose bus loses messages: what was sent came whole and once, what did not is said, and sent again it comes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openFarRelay } from '../src/hub/cluster/far-relay.ts';
import { openMemoryEngine } from '../src/hub/cluster/memory-bus.ts';
import { NO_RELAY_COUNTS, openRelay, type RelayConnection } from '../src/hub/relay.ts';
import { openRelayChannel, type RelayChannel } from '../src/peer/relay-channel.ts';
import { sha256Hex } from '../src/protocol/hash.ts';
import { createIdentity } from '../src/protocol/identity.ts';
import { PeerError } from '../src/protocol/peer-errors.ts';
import { seededRandom } from '../src/protocol/random.ts';
import { handClock } from '../src/protocol/testing/hand-clock.ts';

const RUN = 'a'.repeat(64);
/** A device gives up a message after so many losses. */
const TRIES = 50;

/** Two processes with a device each. @param lost_permille of the messages between them */
function twoProcesses(lost_permille: number) {
  const clock = handClock();
  const random = seededRandom('far channel', lost_permille);
  const engine = openMemoryEngine(random, { delay_ms: 3, jitter_ms: 2, lost_permille });
  const identities = [createIdentity(), createIdentity()];
  const problems: string[] = [];
  const channels = identities.map((identity, i): RelayChannel => {
    const other = identities[1 - i].id;
    const members = { takesPart: () => true, isKnown: () => true, counts: NO_RELAY_COUNTS };
    const relay = openFarRelay({
      ...{ own: `front-${i}`, bus: engine.open(`front-${i}`, clock, assert.ifError), clock, ...members },
      subject: (front) => `relay.${front}`,
      near: openRelay({ withKey: (_, peer) => (peer === identity.id ? [connection] : []), ...members }),
      isHere: (_, peer) => peer === identity.id,
      frontOf: (_, peer) => (peer === other ? `front-${1 - i}` : null),
      onError: assert.ifError,
    });
    const channel = openRelayChannel({
      ...{ run: RUN, identity, clock, random: () => 0.5 },
      stages: () => new Map(),
      proven: () => new Set(),
      held: () => new Map() as never,
      send(message) {
        relay.hear(connection, message);
        return true;
      },
      onProblem: (code) => problems.push(code),
    });
    const connection: RelayConnection = {
      ...{ number: '0', peer: identity.id, run: RUN, channel: { open: true, queued_bytes: 0 } },
      // As over a socket: never while the device still speaks.
      tell: (message) => void clock.setTimeout(() => channel.hear(message as never), 1),
    };
    return channel;
  });
  return { clock, random, channels, ids: identities.map(({ id }) => id), problems };
}

for (const lost_permille of [0, 30]) {
  test(`with ${lost_permille} of a thousand messages lost`, { timeout: 60_000 }, async () => {
    const { clock, random, channels, ids } = twoProcesses(lost_permille);
    const heard = [new Map<string, number>(), new Map<string, number>()];
    channels.forEach((channel, i) => {
      channel.listen(async (from, message) => {
        assert.equal(from, ids[1 - i]);
        const hash = sha256Hex(message);
        heard[i].set(hash, (heard[i].get(hash) ?? 0) + 1);
      });
    });
    let losses = 0;
    /** Sends a message until the other has it. */
    const send = async (i: number, message: Uint8Array): Promise<void> => {
      const hash = sha256Hex(message);
      for (let tries = 0; tries < TRIES; tries++) {
        const before = heard[1 - i].get(hash) ?? 0;
        try {
          await channels[i].send(ids[1 - i], message);
          assert.ok((heard[1 - i].get(hash) ?? 0) > before, 'what was sent had come');
          return;
        } catch (error) {
          assert.ok(error instanceof PeerError, String(error));
          losses++;
        }
      }
      assert.fail(`lost ${TRIES} times`);
    };
    const sizes = [1, 59_000, 60_000, 120_001, 400_000, 7, 250_000, 60_001];
    const messages = [0, 1].map(() => sizes.map((size) => Uint8Array.from({ length: size }, () => random.below(256))));
    const sending = [0, 1].map(async (i) => {
      for (const message of messages[i]) await send(i, message);
    });
    await clock.run(Promise.all(sending));
    for (const i of [0, 1]) {
      for (const message of messages[i])
        assert.ok(heard[1 - i].has(sha256Hex(message)), `${message.length} bytes came`);
    }
    if (lost_permille === 0) {
      assert.equal(losses, 0);
      for (const counts of heard) assert.deepEqual([...new Set(counts.values())], [1], 'each once');
    } else assert.ok(losses > 0, 'something was lost');
  });
}
