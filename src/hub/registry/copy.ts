// A hub's copy of its registry's log: its entries and their tree in a file of the hub's folder, and where each key is named in it.
import { join } from 'node:path';
import { decodeEvent } from '../../core/codec.ts';
import type { EventBody } from '../../core/events.ts';
import { MAX_BATCH_BYTES, MAX_BATCH_ENTRIES } from '../../ledger/journal.ts';
import { CompactTree, equalHashes, leafHash } from '../../ledger/merkle.ts';
import { openSqliteLogStore } from '../../ledger/sqlite-log-store.ts';
import { openTransparencyLog, type TransparencyLog } from '../../ledger/transparency-log.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import { withoutKey } from '../cluster/without-key.ts';
import { HubError } from '../errors.ts';

const PAGE_ENTRIES = 1024;

/** An entry of the registry that says something of a device or an address. */
export interface Named {
  readonly index: number;
  readonly type: EventBody['type'];
  /** The device that is bound or revoked, or the account whose address it is. */
  readonly key: string;
}

export interface RegistryCopy {
  /** The id of the registry. */
  readonly registry: string;
  readonly log: TransparencyLog;
  /** Whatever names a key, in the order of the log. */
  named(key: string): readonly Named[];
  all(): Iterable<Named>;
  /**
   * Takes in what has come since, under a head that the registry has signed; resolves to what it names. Throws HubError `other-history`, and
   * takes nothing in, where the entries do not lead to the head.
   */
  add(entries: readonly Uint8Array[], head: { readonly size: number; readonly root: Uint8Array }): Promise<Named[]>;
  close(): Promise<void>;
}

/** Opens the copy, which may be empty, and reads it once. Throws LedgerError. */
export function openRegistryCopy(folder: string, registry: string): RegistryCopy {
  const store = openSqliteLogStore(join(folder, `registry-${registry.slice(0, 16)}.sqlite`));
  const log = openTransparencyLog(store, withoutKey(registry));
  const byKey = new Map<string, Named[]>();
  const tree = new CompactTree();
  const learn = (entries: readonly Uint8Array[], first: number): Named[] => {
    const found = entries.flatMap((bytes, i) => namedIn(bytes, first + i) ?? []);
    for (const named of found) byKey.set(named.key, [...(byKey.get(named.key) ?? []), named]);
    for (const bytes of entries) tree.append(leafHash(bytes));
    return found;
  };
  for (let from = 0; from < log.size; from += PAGE_ENTRIES) {
    learn(log.read(from, Math.min(log.size, from + PAGE_ENTRIES)), from);
  }
  return {
    registry,
    log,
    named: (key) => byKey.get(key) ?? [],
    *all() {
      for (const named of byKey.values()) yield* named;
    },
    async add(entries, head) {
      const next = tree.copy();
      for (const bytes of entries) next.append(leafHash(bytes));
      if (next.size !== head.size || !equalHashes(next.root(), head.root)) {
        throw new HubError(
          'other-history',
          `the registry ${registry} shows another history than before: its head of ${head.size} entries does not go on from the ${log.size} known here, and nothing of it is taken in`,
        );
      }
      const first = log.size;
      for (const batch of batches(entries)) await log.append(batch);
      return learn(entries, first);
    },
    close: () => store.close(),
  };
}

function namedIn(bytes: Uint8Array, index: number): Named | null {
  try {
    // The tree says that the registry has it; the core verifies whose word it is when it is taken in.
    const { author, body } = decodeEvent(bytes, { verify_signature: false });
    if (body.type === 'device.revoked') return { index, type: body.type, key: body.device };
    if (body.type === 'device.bound' || body.type === 'account.address') return { index, type: body.type, key: author };
    return null;
  } catch (error) {
    // Another version's events are of no device that this one knows.
    if (error instanceof ProtocolError) return null;
    throw error;
  }
}

/** In pieces that a store takes at once. */
function* batches(entries: readonly Uint8Array[]): Generator<Uint8Array[]> {
  let batch: Uint8Array[] = [];
  let size_bytes = 0;
  for (const bytes of entries) {
    if (batch.length === MAX_BATCH_ENTRIES || size_bytes + bytes.length > MAX_BATCH_BYTES / 2) {
      yield batch;
      [batch, size_bytes] = [[], 0];
    }
    batch.push(bytes);
    size_bytes += bytes.length;
  }
  if (batch.length > 0) yield batch;
}
