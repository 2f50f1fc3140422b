// The tab's storage: tables in IndexedDB, or in memory where the browser stores nothing for this page.

const TABLES = ['keys', 'certificates', 'drawer', 'receipts', 'blobs', 'blob_uses', 'works', 'earned'] as const;
export type Table = (typeof TABLES)[number];

/** Tables whose last writes may be lost in a power cut, because the hub and the log have the data. All others are flushed to disk. */
const CAN_BE_HAD_AGAIN: readonly Table[] = ['blobs', 'blob_uses', 'works', 'earned'];

const DATABASE = 'potluck';
/** Rises whenever a table is added. */
const VERSION = 2;
/** A browser that does not answer within this time stores nothing for the page. */
const OPEN_MS = 5000;

/** Values by key, of any structured-cloneable type. Each call is one transaction: it takes effect completely or not at all. */
export interface TabStore {
  /** Whether everything is lost when the tab closes. */
  readonly temporary: boolean;
  get(table: Table, key: string): Promise<unknown>;
  /** May reject: a full disk. */
  put(table: Table, key: string, value: unknown): Promise<void>;
  /** Stores the value unless there is one; resolves to the stored one. Two tabs that race get the same. */
  putIfAbsent(table: Table, key: string, value: unknown): Promise<unknown>;
  delete(table: Table, key: string): Promise<void>;
  entries(table: Table): Promise<[key: string, value: unknown][]>;
}

/** Opens this page's storage; in memory where storage is denied. Never rejects. */
export async function openTabStore(): Promise<TabStore> {
  try {
    return inDatabase(await openDatabase());
  } catch {
    return inMemory();
  }
}

function openDatabase(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, VERSION); // throws where storage is denied
    const timer = setTimeout(() => reject(new Error('IndexedDB does not answer')), OPEN_MS);
    opening.onupgradeneeded = () => {
      const { result } = opening;
      for (const table of TABLES) if (!result.objectStoreNames.contains(table)) result.createObjectStore(table);
    };
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      clearTimeout(timer);
      opening.result.onversionchange = () => opening.result.close(); // a newer page wants to upgrade it
      resolve(opening.result);
    };
  });
}

/** Browsers often leave the message empty: a full disk has only a name. */
function inWords(error: DOMException | null): Error {
  if (error?.name === 'QuotaExceededError') return new Error("this browser's storage is full");
  return error?.message ? error : new Error(`this browser could not store it (${error?.name ?? 'aborted'})`);
}

/** Tables in an open database. */
export function inDatabase(database: IDBDatabase): TabStore {
  /** Runs one transaction; resolves to the result of `use`'s request when it is complete. */
  const transact = <T>(table: Table, mode: IDBTransactionMode, use: (store: IDBObjectStore) => { result: T }) =>
    new Promise<T>((resolve, reject) => {
      const durability = CAN_BE_HAD_AGAIN.includes(table) ? 'relaxed' : 'strict';
      const transaction = database.transaction(table, mode, { durability });
      const request = use(transaction.objectStore(table));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(inWords(transaction.error));
    });
  return {
    temporary: false,
    get: (table, key) => transact(table, 'readonly', (store) => store.get(key)),
    put: async (table, key, value) => void (await transact(table, 'readwrite', (store) => store.put(value, key))),
    putIfAbsent: (table, key, value) =>
      transact(table, 'readwrite', (store) => {
        const kept = { result: value };
        const present = store.get(key);
        present.onsuccess = () => {
          if (present.result === undefined) store.put(value, key);
          else kept.result = present.result;
        };
        return kept;
      }),
    delete: async (table, key) => void (await transact(table, 'readwrite', (store) => store.delete(key))),
    async entries(table) {
      const both = await transact(table, 'readonly', (store) => {
        const [keys, values] = [store.getAllKeys(), store.getAll()];
        return {
          get result() {
            return [keys.result as string[], values.result] as const;
          },
        };
      });
      return both[0].map((key, i) => [key, both[1][i]]);
    },
  };
}

function inMemory(): TabStore {
  const tables = new Map(TABLES.map((table) => [table, new Map<string, unknown>()]));
  const of = (table: Table) => tables.get(table)!;
  return {
    temporary: true,
    get: async (table, key) => of(table).get(key),
    put: async (table, key, value) => void of(table).set(key, value),
    async putIfAbsent(table, key, value) {
      if (!of(table).has(key)) of(table).set(key, value);
      return of(table).get(key);
    },
    delete: async (table, key) => void of(table).delete(key),
    entries: async (table) => [...of(table)],
  };
}
