// In a browser a log always has an address; there are no folders.

import { hubBlobs, openHubLog } from '../../audit/public-log-http.ts';
import type * as InNode from '../../audit/public-log-open.ts';

export const openPublicLog: typeof InNode.openPublicLog = openHubLog;
export const openPublicBlobs: typeof InNode.openPublicBlobs = hubBlobs;
