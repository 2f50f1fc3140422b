// A hub's and a peer's ends of a real WebSocket as channels.
import { channelCompliance } from '../protocol/testing/channel-compliance.ts';
import { socketLine } from '../protocol/testing/socket-line.ts';
import { webSockets } from './web-sockets.ts';

channelCompliance('ws', () => socketLine((url) => webSockets(url).dial()));
