// A process that holds a lease in NATS: `node lease-holder.ts URL NAME HOLDER`. It writes "held", and "lost" with the reason, a line each.
import { openNatsBus } from '../nats-bus.ts';
import { openNatsLease } from '../nats-lease.ts';

const [url, name, holder] = process.argv.slice(2);
const bus = await openNatsBus({ servers: [url], name: holder, onError: console.error });
const lease = await openNatsLease({ bus, name });
const held = await lease.hold(holder, new AbortController().signal);
held.lost.addEventListener('abort', () => console.log(`lost ${(held.lost.reason as Error).message}`));
console.log('held');
