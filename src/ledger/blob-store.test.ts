// The blob store in memory passes the suite of all blob stores.

import { createMemoryBlobStore } from './blob-store.ts';
import { blobStoreCompliance } from './testing/blob-store-compliance.ts';

blobStoreCompliance('memory', async () => createMemoryBlobStore({ max_blob_bytes: 100_000 }));
