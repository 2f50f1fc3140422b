// The blob store in memory passes the suite of all blob stores.

import { blobStoreCompliance } from './blob-store.compliance.ts';
import { createMemoryBlobStore } from './blob-store.ts';

blobStoreCompliance('memory', async () => createMemoryBlobStore({ max_blob_bytes: 100_000 }));
