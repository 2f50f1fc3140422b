// A message of either side as one frame of a WebSocket.
import { encodeFrame } from './frames.ts';
import type { FromHub } from './from-hub.ts';
import type { FromPeer } from './from-peer.ts';

export const encodeMessage = (message: FromPeer | FromHub): Uint8Array => encodeFrame(message);
