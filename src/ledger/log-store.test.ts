// The log in memory passes the suite of all log stores.
import { logStoreCompliance } from './log-store.compliance.ts';
import { createMemoryLogStore } from './log-store.ts';

logStoreCompliance('memory', createMemoryLogStore);
