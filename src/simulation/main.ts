// `npm run simulate`: plays seeded histories and prints the first one in which something did not hold.
import { planOf } from './plan.ts';
import { World } from './world.ts';

const from = Number(process.argv[2] ?? 1),
  n = Number(process.argv[3] ?? 1);
const t = Date.now();
let ev = 0;
for (let seed = from; seed < from + n; seed++) {
  const o = await new World(planOf(seed), null).play();
  ev += o.log_events;
  if (o.violation || n === 1) {
    console.log(o.trace.slice(-60).join('\n'));
    console.log(
      seed,
      o.violation,
      o.at_ms,
      o.log_events,
      o.happenings,
      o.trace_hash.slice(0, 16),
      o.log_hash.slice(0, 16),
    );
    if (n > 1 && process.argv[4] !== 'all') break;
  }
}
console.log(n, ev, Date.now() - t, 'ms');
