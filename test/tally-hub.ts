// A real hub as a process of its own, for kills.test.ts, whose runs play the simulator's cheap game: node tally-hub.ts FOLDER PORT [BUCKET AS JSON].
import { openHub } from '../src/hub/hub.ts';
import { tally } from '../src/simulation/tally-game.ts';

const [folder, port, s3] = process.argv.slice(2);
const say = (line: object): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};

const hub = await openHub({
  folder,
  host: '127.0.0.1',
  port: Number(port),
  s3: s3 ? JSON.parse(s3) : undefined,
  loadGame: async () => tally,
  snapshot_every_events: 50,
  onEvent: ({ body }, index) => say({ type: 'event', index, what: body.type }),
  onError: (error, where) => say({ type: 'problem', where, message: String(error) }),
});
say({ type: 'listening', url: hub.url, hub: hub.id });
process.once('SIGTERM', () => void hub.close());
