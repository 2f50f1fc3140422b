// The log in memory passes the suite of all log stores.

import { createMemoryLogStore } from './log-store.ts';
import { logStoreCompliance } from './testing/log-store-compliance.ts';

logStoreCompliance('memory', createMemoryLogStore);
