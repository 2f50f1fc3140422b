// In a browser a run's owner stores no blobs; the hub has them.
import type * as InNode from '../../peer/blob-folder.ts';

export const openBlobFolder: typeof InNode.openBlobFolder = () => ({
  get: async () => null,
  put: async () => {},
});
