// The machine's clock, and the one that tests move by hand.

import { sleep, systemClock } from './clock.ts';
import { clockCompliance } from './testing/clock-compliance.ts';
import { handClock } from './testing/hand-clock.ts';

clockCompliance("the machine's clock", () => ({ clock: systemClock, pass: (ms) => sleep(systemClock, ms) }), 20);

clockCompliance(
  'a clock that is moved by hand',
  () => {
    const clock = handClock(5000);
    return { clock, pass: (ms) => clock.pass(ms) };
  },
  1000,
);

clockCompliance(
  'a clock that is moved by hand, of a process that was frozen',
  () => {
    const clock = handClock();
    return { clock, pass: async (ms) => clock.move(ms) };
  },
  1000,
);
