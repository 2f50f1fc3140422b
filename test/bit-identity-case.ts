// The seeded case of bit-identity.test.ts: three rounds of four workers, as hashes. It runs in Node and in the page alike.
import { bytesToHex } from '@noble/hashes/utils.js';
import type { ParameterSpec, Weights } from '../src/model/config.ts';
import { sha256Beside, sha256Hex } from '../src/protocol/hash.ts';
import { type Random, seededRandom } from '../src/protocol/random.ts';
import { mergeUpdates } from '../src/training/outer.ts';
import { compressUpdate, decodeUpdate, encodeUpdate, SparseOptionsSchema } from '../src/training/sparse.ts';

const SPECS: readonly ParameterSpec[] = [
  { name: 'embedding', shape: [65, 128], decay: true },
  { name: 'norm', shape: [128], decay: false },
  { name: 'projection', shape: [128, 128], decay: true },
  { name: 'gate', shape: [176, 64], decay: true },
];
const WORKERS = 4;
const ROUNDS = 3;

/** Values over many magnitudes, so that sums round: a product of two uniform numbers, some of them tiny. */
function values(random: Random, size: number): Float32Array {
  const result = new Float32Array(size);
  for (let i = 0; i < size; i++) {
    const sign = random.below(2) === 0 ? 1 : -1;
    result[i] = (sign * random.uint32() * random.uint32()) / 2 ** (66 + random.below(8));
  }
  return result;
}

const weightsOf = (random: Random): Map<string, Float32Array> =>
  new Map(
    SPECS.map(({ name, shape }) => [
      name,
      values(
        random,
        shape.reduce((a, b) => a * b, 1),
      ),
    ]),
  );

const bytesOf = (weights: Weights): Uint8Array[] =>
  Array.from(weights.values(), (array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength));

/**
 * SHA-256 of all encoded updates, of the weights after the last round, and of what the workers still keep back; that of the updates once
 * more as megabytes are hashed, which in a page is not our own code.
 */
export async function bitIdentityCase(seed = 'bit identity') {
  const random = seededRandom(seed);
  const updates: Uint8Array[] = [];
  const errors = Array.from({ length: WORKERS }, () => new Map<string, Float32Array>());
  let weights: Weights = weightsOf(random);
  for (let round = 0; round < ROUNDS; round++) {
    const quantiser = round % 2 === 0 ? 'ladder' : 'sign';
    const options = SparseOptionsSchema.parse({
      kept_per_tile: 64,
      error_decay: 0.95,
      quantiser,
      outer_step: 1.1,
      absent_share: 0.1 * round,
    });
    const accepted = errors.map((error, worker) => {
      const bytes = encodeUpdate(SPECS, compressUpdate(SPECS, weightsOf(random), error, options), options);
      updates.push(bytes);
      return { update: decodeUpdate(SPECS, bytes, options), weight: 1 + 7 * worker };
    });
    weights = mergeUpdates(SPECS, weights, accepted, options);
  }
  return {
    updates: sha256Hex(...updates),
    updates_beside: bytesToHex(await sha256Beside(Uint8Array.from(updates.flatMap((bytes) => [...bytes])))),
    weights: sha256Hex(...bytesOf(weights)),
    errors: sha256Hex(...errors.flatMap(bytesOf)),
  };
}
