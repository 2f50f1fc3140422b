// Snapshots of the state beside the log, so that a hub need not replay everything at a start. A snapshot is used only if everything in it fits.
import { deserialize, serialize } from 'node:v8';
import { decode, encode } from '@ipld/dag-cbor';
import { z } from 'zod';
import type { NetworkState } from '../core/state.ts';
import { decodeState } from '../core/state-bytes.ts';
import type { LogStore } from '../ledger/log-store.ts';
import { equalHashes } from '../ledger/merkle.ts';
import { sha256, utf8 } from '../protocol/hash.ts';
import { type Identity, verifySignature } from '../protocol/identity.ts';
import { HubError } from './errors.ts';
import { copyOf, stateBytes } from './snapshot-bytes.ts';

/** A second's worth of replay, which is how much a killed hub repeats at most. */
const EVERY_EVENTS = 65_536;
const NAME = 'state';
const LABEL = utf8('potluck-snapshot-v2\n');

interface MeasuredLog {
  readonly size: number;
  rootAt(size: number): Uint8Array;
}

/** A state after `size` events. */
export interface TakenSnapshot {
  readonly size: number;
  /** Copies, as V8 keeps them: of the state (snapshot-bytes.ts), and of what is beside it, which goes on changing as well. */
  readonly copy: Uint8Array;
  readonly beside: Uint8Array;
}

export interface Snapshots {
  /** The state after a prefix of the log, from the newest valid snapshot; null where there is none. */
  restore(): NetworkState | null;
  isDue(events: number): boolean;
  /** Copies the state as it is now; the copy does not change with it. */
  take(state: NetworkState): TakenSnapshot;
  /** Writes a snapshot of durable events. A failure is only a warning, because the log has everything. */
  keep(snapshot: TakenSnapshot): void;
  /** Resolves when everything given to `keep` is on disk. */
  written(): Promise<void>;
}

/** Further data that follows from the log and is kept with the state: plain data for DAG-CBOR. */
export interface Keepsake {
  take(): unknown;
  restore(kept: unknown): void;
}

/** Combines several into one. */
export const keptTogether = (keepsakes: readonly Keepsake[]): Keepsake => ({
  take: () => keepsakes.map((keepsake) => keepsake.take()),
  restore(kept) {
    for (const [i, each] of (kept as unknown[]).entries()) keepsakes[i].restore(each);
  },
});

export interface SnapshotOptions {
  readonly store: Pick<LogStore, 'putSnapshot' | 'snapshots'>;
  readonly log: MeasuredLog;
  /** Signs them: this process's own key, for one that does not have the hub's. */
  readonly identity: Identity;
  /** The id of the hub whose states they are, where it is not that key's. */
  readonly hub?: string;
  readonly beside?: Keepsake;
  /** The version of the rules that compute states; snapshots of other versions are not used. */
  readonly rules: number;
  readonly every_events?: number;
  /** Makes the canonical bytes of a copy; in this thread by default. */
  readonly bytesOf?: (copy: Uint8Array) => Uint8Array | Promise<Uint8Array>;
  readonly onProblem: (error: HubError) => void;
}

const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'expected bytes');
const SnapshotSchema = z.tuple([
  z.literal(2),
  z.strictObject({
    rules: z.int(),
    size: z.int().min(0),
    root: bytes,
    state: bytes,
    beside: z.unknown(),
  }),
  bytes,
]);
type Content = z.infer<typeof SnapshotSchema>[1];

export function openSnapshots(options: SnapshotOptions): Snapshots {
  const { store, log, identity, hub = identity.id, beside, rules, bytesOf = stateBytes, onProblem } = options;
  const every_events = options.every_events ?? EVERY_EVENTS;
  let newest = -1;
  let writing: Promise<void> = Promise.resolve();

  const write = async ({ size, copy, beside }: TakenSnapshot, root: Uint8Array): Promise<void> => {
    const content = { rules, root, size, state: await bytesOf(copy), beside: deserialize(beside) };
    const signature = await identity.sign(signed(content));
    store.putSnapshot(NAME, size, encode([2, content, signature]));
  };

  return {
    restore() {
      for (const { size, bytes } of store.snapshots(NAME)) {
        try {
          if (!bytes) throw bad('its bytes are damaged');
          const content = read(bytes, identity.id);
          const state = fitting(content, size, log, hub, rules);
          beside?.restore(content.beside);
          newest = size;
          return state;
        } catch (error) {
          if (!(error instanceof HubError)) throw error;
          onProblem(
            new HubError('bad-snapshot', `the snapshot of ${size} events is not used: ${error.message}`, { size }),
          );
        }
      }
      return null;
    },
    isDue: (events) => events % every_events === 0,
    take: (state) => ({ size: state.events, copy: copyOf(state), beside: serialize(beside?.take() ?? null) }),
    keep(snapshot) {
      if (snapshot.size <= newest) return;
      newest = snapshot.size;
      const root = log.rootAt(snapshot.size);
      writing = writing
        .then(() => write(snapshot, root))
        .catch((error: Error) => {
          const message = `the snapshot of ${snapshot.size} events was not written: ${error.message}`;
          onProblem(new HubError('bad-snapshot', message));
        });
    },
    written: () => writing,
  };
}

const bad = (message: string): HubError => new HubError('bad-snapshot', message);

/** The bytes that the hub's key signs: everything but the signature, by its hash. */
function signed(content: Content): Uint8Array {
  const hash = sha256(encode(content));
  const bytes = new Uint8Array(LABEL.length + hash.length);
  bytes.set(LABEL);
  bytes.set(hash, LABEL.length);
  return bytes;
}

/** The state in a snapshot that belongs to this hub, its log and its rules. Throws HubError `bad-snapshot`. */
function fitting(content: Content, size: number, log: MeasuredLog, hub: string, rules: number): NetworkState {
  if (content.size !== size) throw bad(`it says that it is of ${content.size} events`);
  if (content.rules !== rules) throw bad('other rules have made it');
  if (size > log.size) throw bad(`the log has ${log.size} events`);
  if (!equalHashes(content.root, log.rootAt(size))) throw bad('it belongs to another log');
  const state = decodeState(content.state);
  if (state.hub !== hub || state.events !== size) throw bad(`its state is that of ${state.events} events`);
  return state;
}

function read(bytes: Uint8Array, hub: string): Content {
  let value: unknown;
  try {
    value = decode(bytes);
  } catch {
    throw bad('its form is damaged');
  }
  const parsed = SnapshotSchema.safeParse(value);
  if (!parsed.success) throw bad(`its form is not known: ${parsed.error.issues[0].message}`);
  const [, content, signature] = parsed.data;
  if (!verifySignature(hub, signed(content), signature)) throw bad("it is not signed by this hub's key");
  return content;
}
