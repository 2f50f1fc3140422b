// The hub of `bench big-merge`, a process of its own: says its address, and when it is told to end, the most memory that it had.
import { resourceUsage, stdin } from 'node:process';
import { openHub } from '../hub/hub.ts';

const hub = await openHub({
  ...{ folder: process.argv[2], host: '127.0.0.1', port: 0 },
  // Its workers send their events over HTTP, without a connection, and wait for as long as it takes.
  limits: { lost_after_ms: 2 ** 31 - 1, silence_ms: 2 ** 31 - 1 },
  onError: (error, where) => console.error(`${where}: ${error}`),
});
console.log(JSON.stringify({ url: hub.url }));
stdin.once('data', async () => {
  console.log(JSON.stringify({ most_kb: resourceUsage().maxRSS }));
  await hub.close();
  process.exit();
});
