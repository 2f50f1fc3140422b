// The browser's WebSocket as a channel. Node has the same class.
import { channelCompliance } from '../../protocol/testing/channel-compliance.ts';
import { socketLine } from '../../protocol/testing/socket-line.ts';
import { browserSockets } from './browser-sockets.ts';

channelCompliance("the browser's WebSocket", () => socketLine((url) => browserSockets(url).dial()));
