// A pool in this process and its devices, each as `potluck join --serve` is one, behind a socket that carries the wire's own bytes.
import { randomBytes } from 'node:crypto';
import { openPool, type Pool, type PoolOptions } from '../src/hub/serving/pool.ts';
import { NO_COUNTS } from '../src/hub/serving/pool-metrics.ts';
import { limitsBy } from '../src/hub/serving/verdict.ts';
import { openServing, type ServedModel, type Serving, type ServingOptions } from '../src/peer/serving.ts';
import { systemClock } from '../src/protocol/clock.ts';
import { encodeMessage } from '../src/protocol/encode-message.ts';
import { decodeFromHub } from '../src/protocol/from-hub.ts';
import { decodeFromPeer } from '../src/protocol/from-peer.ts';
import { createIdentity } from '../src/protocol/identity.ts';
import type { FromServingPeer } from '../src/protocol/serving-from-peer.ts';
import type { ToServingPeer } from '../src/protocol/serving-messages.ts';

export interface PoolDevice {
  readonly serving: Serving;
  /** The pool gets its offer. */
  come(): void;
  /** Its socket closes in the middle of what it does; it may come again, as another connection. */
  die(): void;
}

/** A pool that knows this model alone, by its hash and name; null: none but what devices bring. */
export function poolFor(model: readonly [hash: string, name: string] | null, more: Partial<PoolOptions> = {}): Pool {
  return openPool({
    clock: systemClock,
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
    models: () => (model ? [{ hash: model[0], names: [model[1]], created_ms: 0, licence: null, run: null }] : []),
    ownerOf: () => null,
    limitsOf: ({ quantisation }) => limitsBy(undefined, quantisation),
    decided() {},
    counts: NO_COUNTS,
    ...more,
  });
}

/** @param onHeard what the pool tells it, before it does anything with that */
export function poolDevice(
  pool: Pool,
  peer: string,
  served: ServedModel,
  { onHeard, ...more }: Pick<ServingOptions, 'worked' | 'onProblem'> & { onHeard?(message: ToServingPeer): void } = {},
): PoolDevice {
  let lives = 0;
  const connect = () => {
    const connection = {
      ...{ number: `${peer} ${lives++}`, peer },
      tell(message: ToServingPeer): void {
        const heard = decodeFromHub(encodeMessage(message)) as ToServingPeer;
        onHeard?.(heard);
        setImmediate(() => connection === here && serving.hear(heard));
      },
    };
    return connection;
  };
  let here = connect();
  const serving = openServing({
    ...{ identity: createIdentity(), clock: systemClock, price_in: 0, price_out: 0, region: null },
    send: (message) => pool.hear(here, decodeFromPeer(encodeMessage(message)) as FromServingPeer),
    ...more,
  });
  serving.serve(served);
  return {
    serving,
    come: () => serving.welcome(),
    die() {
      serving.away();
      pool.gone(here);
      here = connect();
    },
  };
}
