// A message of either side as one frame of a WebSocket.
import { encodeFrame } from './frames.ts';
import type { FromPeer } from './from-peer.ts';
import type { FromHub } from './messages.ts';

export const encodeMessage = (message: FromPeer | FromHub): Uint8Array => encodeFrame(message);
