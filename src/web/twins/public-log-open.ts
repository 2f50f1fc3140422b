// In a browser: a log is always at an address, there are no folders.

import { hubBlobs, openHubLog } from '../../peer/public-log-http.ts';
import type * as InNode from '../../peer/public-log-open.ts';

export const openPublicLog: typeof InNode.openPublicLog = openHubLog;
export const openPublicBlobs: typeof InNode.openPublicBlobs = hubBlobs;
