// The simulated network keeps what real channels keep.

import type { Channel } from '../protocol/channel.ts';
import { seededRandom } from '../protocol/random.ts';
import { channelCompliance } from '../protocol/testing/channel-compliance.ts';
import { type Doorman, Line } from './network.ts';
import { Process, VirtualTime } from './virtual-time.ts';

channelCompliance('a simulated line', async () => {
  const time = new VirtualTime();
  const start = (): Process => new Process(time, { offset_ms: 0, rate: 1 });
  let accept: (channel: Channel) => void = () => {};
  const door: Doorman = { process: start(), accept: (end) => accept(end) };
  const link = { latency_ms: 20, jitter_ms: 30, bytes_per_ms: 100, blocked_until_ms: 0, lost_permille: 0 };
  const lineTo = (answers: Doorman | null): Line => new Line(time, seededRandom('line'), link, () => answers);
  const line = lineTo(door);
  return {
    dial(onAccepted) {
      accept = onAccepted;
      return line.dial(start());
    },
    dialNobody: () => lineTo(null).dial(start()),
    deafen: () => line.block(1_000_000),
    pass: () => time.step(Number.POSITIVE_INFINITY),
    close: async () => {},
  };
});
