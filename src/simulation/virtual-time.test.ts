// A simulated process's clock is one, also where its seconds are longer or shorter than the others' and somebody has set it.

import { sleep } from '../protocol/clock.ts';
import { clockCompliance } from '../protocol/testing/clock-compliance.ts';
import { Process, VirtualTime } from './virtual-time.ts';

for (const rate of [1, 0.9, 1.2]) {
  clockCompliance(
    `virtual time at ${rate} times the speed`,
    () => {
      const time = new VirtualTime();
      const { clock } = new Process(time, { offset_ms: 7_000_000.5, rate });
      const pass = async (duration_ms: number): Promise<void> => {
        let over = false;
        void sleep(clock, duration_ms).then(() => {
          over = true;
        });
        while (!over) await time.step(Number.POSITIVE_INFINITY);
      };
      return { clock, pass };
    },
    1000,
  );
}
