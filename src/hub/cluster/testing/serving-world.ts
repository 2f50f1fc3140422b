// Front ends of a hub with devices that serve, and gateways at other processes with a pool each, on a bus that may lose messages.
import { seededRandom } from '../../../protocol/random.ts';
import { openPool, type Pool } from '../../serving/pool.ts';
import { NO_COUNTS } from '../../serving/pool-metrics.ts';
import { MODEL, NAME, type PoolWorld } from '../../serving/testing/pool-world.ts';
import { limitsBy } from '../../serving/verdict.ts';
import { type FarServing, openFarServing } from '../far-serving.ts';
import { openLinks } from '../links.ts';
import { type MemoryEngine, openMemoryEngine } from '../memory-bus.ts';
import type { Front } from '../others.ts';

/** A process: what it does for its devices, and the pool that callers ask there. */
export interface ServingProcess extends FarServing {
  readonly name: string;
  readonly pool: Pool;
  /** As SIGKILL: nothing that it does is heard of any more. */
  kill(): void;
}

export class ServingWorld {
  readonly world: PoolWorld;
  readonly engine: MemoryEngine;
  readonly errors: unknown[] = [];
  /** The processes that take devices, as all of them see it. */
  readonly fronts = new Map<string, Front>();
  #leases = 1 << 24;

  /** `world`: with the pool of the first gateway, on whose clock all processes run. */
  constructor(world: PoolWorld, seed = 0) {
    this.world = world;
    this.engine = openMemoryEngine(seededRandom('serving world', seed));
  }

  /** A process that takes devices. */
  front(name: string, region: string | null = null, pool: Pool | null = null): ServingProcess {
    this.fronts.set(name, { instance: name, url: `http://${name}`, region });
    return this.#open(name, region, pool);
  }

  /** One that callers ask. */
  gateway(name: string, pool: Pool = this.world.pool, region: string | null = null): ServingProcess {
    return this.#open(name, region, pool);
  }

  /** A pool beside that of the world, of the same models. */
  pool(): Pool {
    const { clock, models } = this.world;
    return openPool({
      clock,
      randomBytes: (length) => {
        const drawn = this.#leases++;
        return Uint8Array.from({ length }, (_, i) => (drawn >>> (8 * (i % 4))) & 255);
      },
      models: () => models,
      ownerOf: () => null,
      limitsOf: ({ quantisation }) => limitsBy(undefined, quantisation),
      decided() {},
      counts: NO_COUNTS,
    });
  }

  #open(name: string, region: string | null, pool: Pool | null): ServingProcess {
    const { clock } = this.world;
    let killed = false;
    const onError = (error: unknown): void => void this.errors.push(error);
    const serving = openFarServing({
      ...{ own: { instance: name, region }, clock, pool, fronts: () => [...this.fronts.values()] },
      links: openLinks({
        ...{ own: name, clock, subject: (to) => `link.${to}`, onError },
        bus: this.engine.open(name, clock, onError),
      }),
    });
    return {
      ...{ name, pool: pool ?? this.world.pool },
      hear: async (...given) => (killed ? undefined : serving.hear(...given)),
      gone: (connection) => (killed ? undefined : serving.gone(connection)),
      close: () => serving.close(),
      kill: () => {
        killed = true;
        this.fronts.delete(name);
        this.engine.gone(name);
      },
    };
  }
}

export { MODEL, NAME };
