// Half of the workers killed at a random moment of every round: does the run finish, and what does it cost at equal verified tokens?
import { parseArgs } from 'node:util';
import type { RunStatus } from '../protocol/messages.ts';
import { seededRandom } from '../protocol/random.ts';
import { BenchError } from './errors.ts';
import { table, writeJson } from './report.ts';
import { startSwarm } from './swarm.ts';

const HELP = `npm run bench churn [-- OPTIONS]

  --workers N        (default 4)
  --rounds N         rounds of the run under churn (default 30)
  --steps N          inner steps a round (default 30)
  --round-seconds S  the time box of a round (default 10)
  --data PATH        text to learn from (default: the documentation that npm installed)
  --seed TEXT        which workers die when (default churn)
  --json FILE        the measurements as JSON; "-" for standard output instead of the table
  --quick            few and short rounds: shows that the bench works

Every round, half of the workers get SIGKILL at a random moment and come back after a second with what their folder
holds. Then the same run without any kill, with as many rounds as give the same number of verified tokens.`;

interface Options {
  readonly workers: number;
  readonly rounds: number;
  readonly steps: number;
  readonly round_seconds: number;
  readonly data: string | null;
  readonly seed: string;
  readonly json: string | null;
}

interface Outcome {
  readonly rounds: number;
  readonly kills: number;
  readonly verified_tokens: number;
  readonly loss: number;
  readonly seconds: number;
}

/** Measures and prints. Throws BenchError usage. */
export async function run(args: string[]): Promise<void> {
  const options = parse(args);
  if (!options) return console.log(HELP);
  const churned = await train(options, options.rounds, true);
  const tokens_a_round = options.workers * options.steps * churned.tokens_per_step;
  const rounds = Math.max(1, Math.round(churned.verified_tokens / tokens_a_round));
  const steady = await train(options, rounds, false);
  const difference = churned.loss / steady.loss - 1;
  if (options.json) writeJson(options.json, { options, churned, steady, difference });
  if (options.json === '-') return;
  const row = (what: string, outcome: Outcome) => [
    what,
    String(outcome.rounds),
    String(outcome.kills),
    outcome.verified_tokens.toLocaleString('en-US'),
    outcome.loss.toFixed(4),
    outcome.seconds.toFixed(0),
  ];
  console.log(
    table(
      [`${options.workers} workers`, 'rounds', 'kills', 'verified tokens', 'validation loss', 'seconds'],
      [row('half killed every round', churned), row('nobody killed', steady)],
    ),
  );
  console.log(`\nloss under churn against without: ${(100 * difference).toFixed(2)} %`);
}

async function train(options: Options, rounds: number, churn: boolean): Promise<Outcome & { tokens_per_step: number }> {
  const swarm = await startSwarm({ ...options, rounds, restart_ms: 1000 });
  const random = seededRandom('churn', options.seed);
  const started_ms = performance.now();
  let kills = 0;
  let killedIn = '';
  const timers: NodeJS.Timeout[] = [];
  /** Once for each round that opens: draws who dies, and when in the round's time box. */
  const strike = (status: RunStatus): void => {
    const key = `${status.round}.${status.attempt}`;
    if (!churn || status.phase !== 'working' || key === killedIn) return;
    killedIn = key;
    const victims = [...swarm.workers];
    while (victims.length > Math.ceil(options.workers / 2)) victims.splice(random.below(victims.length), 1);
    for (const victim of victims.slice(0, Math.floor(options.workers / 2))) {
      const after_ms = random.below(Math.max(1, Math.floor(status.remaining_ms * 0.6)));
      timers.push(
        setTimeout(() => {
          kills++;
          victim.kill();
        }, after_ms),
      );
    }
  };
  try {
    const status = await swarm.watch(strike);
    return {
      rounds: status.rounds,
      kills,
      verified_tokens: status.peers.reduce((sum, peer) => sum + peer.credit_tokens, 0),
      loss: status.metrics[0].last!,
      seconds: (performance.now() - started_ms) / 1000,
      tokens_per_step: swarm.tokens_per_step,
    };
  } finally {
    for (const timer of timers) clearTimeout(timer);
    await swarm.close();
  }
}

function parse(args: string[]): Options | null {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const known = { workers: text, rounds: text, steps: text, 'round-seconds': text, data: text, seed: text, json: text };
  let values: { [name: string]: string | boolean | undefined };
  try {
    values = parseArgs({ args, options: { ...known, quick: flag, help: flag } }).values;
  } catch (error) {
    throw new BenchError('usage', `bench churn: ${(error as Error).message}`);
  }
  if (values.help) return null;
  const number = (name: string, quick: number, usual: number, least: number): number => {
    const value = Number(values[name] ?? (values.quick ? quick : usual));
    if (value >= least && value <= 10_000) return value;
    throw new BenchError('usage', `--${name}: expected a number from ${least}, got "${values[name]}"`);
  };
  const word = (name: string): string | null => (typeof values[name] === 'string' ? values[name] : null);
  return {
    workers: Math.floor(number('workers', 2, 4, 2)),
    rounds: Math.floor(number('rounds', 2, 30, 1)),
    steps: Math.floor(number('steps', 2, 30, 1)),
    round_seconds: number('round-seconds', 4, 10, 0.5),
    data: word('data'),
    seed: word('seed') ?? 'churn',
    json: word('json'),
  };
}
