// Faults of one line in what devices of a run in stages say to each other: relay, channel, desk, flights, and what a round comes to.
import type { PlantedFault } from './planted-rules.ts';

const FLIGHTS = 'games/pipeline/flights.ts';
const flights = (name: string): readonly [string, string] => ['games/pipeline/flights.test.ts', name];

export const CHANNEL: readonly PlantedFault[] = [
  {
    name: 'who-leaves-waits-for-what-it-sends',
    file: 'peer/session.ts',
    find: 'this.#connection.close();\n      this.#channel?.away();',
    replace: 'this.#connection.close();',
    by: 'staged',
    unit: ['peer/session.test.ts', 'what a device was sending when it left has failed'],
  },
  {
    name: 'what-was-lost-counts-as-taken',
    file: 'hub/relay.ts',
    find: 'if (known && known.taken < known.last) {',
    replace: 'if (false) {',
    by: 'staged',
    unit: ['hub/relay.test.ts', 'says of what a device had not taken'],
  },
  {
    // No line of a drawn history is so slow that megabytes wait.
    name: 'a-device-that-does-not-read-fills-the-hub',
    file: 'hub/relay.ts',
    find: 'if (receiver.channel.queued_bytes + sealed.length > RELAY_LIMITS.queued_bytes) {',
    replace: 'if (false) {',
    by: null,
    unit: ['hub/relay.test.ts', 'fills no memory for a device that does not read'],
  },
  {
    name: 'frames-go-on-without-a-word',
    file: 'peer/relay-channel.ts',
    find: 'partner.last - partner.taken < RELAY_LIMITS.window_frames',
    replace: 'partner.last - partner.taken <= RELAY_LIMITS.window_frames',
    by: null,
    unit: ['peer/relay-channel.test.ts', 'waits for a listener, and for one that takes its time'],
  },
  {
    // Nobody in a drawn history answers for another.
    name: 'anybody-answers-a-question',
    file: 'games/pipeline/desk.ts',
    find: 'if (asked?.device === from) asked.hear(message);',
    replace: 'asked?.hear(message);',
    by: null,
    unit: ['games/pipeline/desk.test.ts', 'hears nobody but the device that it has asked'],
  },
  {
    // Nobody in a drawn history speaks of a round that there is not.
    name: 'what-no-round-takes-waits-for-ever',
    file: 'games/pipeline/desk.ts',
    find: '        this.#waiting.delete(waiting);\n        resolve();\n',
    replace: '',
    by: null,
    unit: ['games/pipeline/desk.test.ts', 'keeps a message of a round that it does not begin for a minute'],
  },
  {
    name: 'a-silent-device-is-awaited',
    file: FLIGHTS,
    find: 'taken_least_ms: 3000,',
    replace: 'taken_least_ms: 30_000,',
    by: 'staged',
    unit: flights('a device that takes nothing is passed by'),
  },
  {
    name: 'what-does-not-come-back-is-awaited',
    file: FLIGHTS,
    find: 'if (this.#now_ms() - since_ms > patience_ms) {',
    replace: 'if (false) {',
    by: null,
    unit: flights('what nobody answers for is given up'),
  },
  {
    name: 'what-a-lost-device-has-stays-with-it',
    file: FLIGHTS,
    find: 'else if (stages.get(to) !== this.#options.next || this.#options.finished.has(to)) this.#passBy(flight, to);',
    replace: '',
    by: null,
    unit: flights('what a device had that leaves'),
  },
  {
    name: 'who-has-finished-gets-more',
    file: FLIGHTS,
    find: 'stage === next && !finished.has(device) ? device : [],',
    replace: 'stage === next ? device : [],',
    by: 'staged',
    unit: flights('what a device had that leaves'),
  },
  {
    name: 'a-micro-batch-comes-back-twice',
    file: FLIGHTS,
    find: '    if (!flight) return null;\n    this.#under.delete(name);\n',
    replace: '    if (!flight) return null;\n',
    by: null,
    unit: flights('a device that takes nothing is passed by'),
  },
  {
    name: 'a-round-goes-on-after-its-time',
    file: 'games/pipeline/round.ts',
    find: 'while (!signal.aborted && !this.#isDone()) {',
    replace: 'while (!this.#isDone()) {',
    by: 'staged',
    unit: ['games/pipeline.test.ts', 'one that stops early hands in what it has done'],
  },
];
