// Kills half of the workers at a random moment of every round: does the run finish, and what is the loss at equal verified tokens?
import type { RunStatus } from '../protocol/messages.ts';
import { seededRandom } from '../protocol/random.ts';
import { decimal, type Report, text, type Values, whole } from './bench.ts';
import { table, wholeNumber } from './report.ts';
import { startSwarm } from './swarm.ts';

export const options = {
  workers: whole('workers', { from: 2, to: 10_000, usual: 4, quick: 2 }),
  rounds: whole('rounds of the run in which workers are killed', { from: 1, to: 10_000, usual: 30, quick: 2 }),
  steps: whole('inner steps a round', { from: 1, to: 10_000, usual: 30, quick: 2 }),
  round_seconds: decimal('the time box of a round', { from: 0.5, to: 10_000, usual: 10, quick: 4 }),
  data: text('text to learn from; otherwise the documentation that npm installed', 'PATH'),
  seed: text('which workers die when', 'TEXT'),
};

export const notes = `In every round, half of the workers get SIGKILL at a random moment and come back after a second with what their folder holds. The bench
then plays the same run without any kill, with as many rounds as give the same number of verified tokens.`;

type Options = Values<typeof options>;

interface Outcome {
  readonly rounds: number;
  readonly kills: number;
  readonly verified_tokens: number;
  readonly loss: number;
  readonly seconds: number;
}

export async function run(options: Options): Promise<Report> {
  const churned = await train(options, options.rounds, true);
  const tokens_a_round = options.workers * options.steps * churned.tokens_per_step;
  const rounds = Math.max(1, Math.round(churned.verified_tokens / tokens_a_round));
  const steady = await train(options, rounds, false);
  const difference = churned.loss / steady.loss - 1;
  const row = (what: string, { rounds, kills, verified_tokens, loss, seconds }: Outcome) => [
    ...[what, String(rounds), String(kills), wholeNumber(verified_tokens), loss.toFixed(4), seconds.toFixed(0)],
  ];
  const headings = [`${options.workers} workers`, 'rounds', 'kills', 'verified tokens', 'validation loss', 'seconds'];
  const rows = [row('half killed every round', churned), row('nobody killed', steady)];
  return {
    data: { options, churned, steady, difference },
    text: `${table(headings, rows)}\n\nloss with kills against without: ${(100 * difference).toFixed(2)} %`,
  };
}

async function train(options: Options, rounds: number, churn: boolean): Promise<Outcome & { tokens_per_step: number }> {
  const swarm = await startSwarm({ ...options, rounds, restart_ms: 1000 });
  const random = seededRandom('churn', options.seed ?? 'churn');
  const started_ms = performance.now();
  let kills = 0;
  let killedIn = '';
  const timers: NodeJS.Timeout[] = [];
  /** Once for each round: draws which workers die, and when. */
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
      verified_tokens: status.peers.reduce((sum, peer) => sum + peer.credit_amount, 0),
      loss: status.metrics[0].last!,
      seconds: (performance.now() - started_ms) / 1000,
      tokens_per_step: swarm.tokens_per_step,
    };
  } finally {
    for (const timer of timers) clearTimeout(timer);
    await swarm.close();
  }
}
