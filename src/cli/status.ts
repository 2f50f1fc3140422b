// `potluck status`: what a hub's runs and peers are doing; those that go on first.
import { Command } from 'commander';
import { trafficOf } from '../games/pipeline/traffic.ts';
import { chooseRun, fetchStatus } from '../peer/find-run.ts';
import { metricText, wordsOfNumbers } from '../protocol/measures.ts';
import type { MetricView, PeerView, RunStatus } from '../protocol/messages.ts';
import { nameOf } from '../protocol/shown-name.ts';
import { potluckHere } from './called-as.ts';
import { workerLine } from './device.ts';
import { readWorkers } from './device-files.ts';
import { A_RUN, DEFAULT_HUB, hubUrl, isHubUrl, jsonOption, runHandle } from './options.ts';
import { formatBytes, formatCount, openOutput } from './output.ts';

export function statusCommand(): Command {
  return new Command('status')
    .argument('[hub or run]', `the address of the hub, or ${A_RUN}`, runHandle)
    .option('--run <run>', `only this run: ${A_RUN}`, runHandle)
    .option('--hub <url>', 'the address of the hub', hubUrl, DEFAULT_HUB)
    .option('--all', 'finished runs too', false)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck status
  $ potluck status http://hub.example:7700 --run "my run"
  $ potluck status 3fa9c1 --json`,
    )
    .action(async (word: string | undefined, flags: { run?: string; hub: string; all: boolean; json: boolean }) => {
      const isUrl = word !== undefined && isHubUrl(word);
      const url = isUrl ? hubUrl(word) : flags.hub;
      const wanted = flags.run ?? (isUrl ? undefined : word);
      const { hub, runs } = await fetchStatus(url);
      const shown = wanted === undefined ? runs : [chooseRun(runs, wanted)];
      const whole = flags.all || wanted !== undefined;
      const devices = readWorkers();
      const here = devices.map((device) => `\n\non this machine: ${workerLine(device)}`).join('');
      openOutput(flags.json).say(describe(url, shown, whole) + here, {
        type: 'status',
        hub,
        runs: liveFirst(shown),
        devices,
      });
    });
}

/** Of a stage with more devices the others are counted; each has a line of its own below. */
const NAMED_HOLDERS = 8;

/** Runs that go on before those that are finished, otherwise in the order in which they were created. */
export function liveFirst(runs: readonly RunStatus[]): RunStatus[] {
  const finished = (run: RunStatus): number => Number(run.phase === 'finished');
  return [...runs].sort((a, b) => finished(a) - finished(b));
}

/** What people see of runs: finished ones only where they were asked for. */
export function describe(url: string, runs: readonly RunStatus[], all: boolean): string {
  if (runs.length === 0) return `The hub at ${url} has no runs.`;
  const live = runs.filter((run) => run.phase !== 'finished');
  const rest = runs.length - live.length;
  const blocks = (all ? liveFirst(runs) : live).map((run) => describeRun(url, run));
  const finished = `${rest === 1 ? '1 run is' : `${rest} runs are`} finished: ${potluckHere()} status${url === DEFAULT_HUB ? '' : ` ${url}`} --all`;
  if (!all && rest > 0) blocks.push(finished);
  return blocks.join('\n\n');
}

const measuredWords = (metric: MetricView): string =>
  nameOf(
    metric.last === null
      ? `${metric.words} not measured yet`
      : metricText(metric) + (metric.words.includes(metric.unit) ? '' : ` ${metric.unit}`),
  );

/** A run in a few lines. */
function describeRun(url: string, run: RunStatus): string {
  const smaller =
    run.bytes_submitted > 0 ? ` (${(run.dense_bytes / run.bytes_submitted).toFixed(0)}x less than dense)` : '';
  const lines = [
    `run ${run.run.slice(0, 12)}  ${nameOf(run.name)}`,
    [`  ${run.phase}, round ${run.round} of ${run.rounds}`, ...run.metrics.map(measuredWords)].join(', '),
    `  ${formatCount(run.merged_amount)} ${nameOf(run.unit)} merged, ${formatBytes(run.bytes_submitted)} sent${smaller}`,
  ];
  if (run.problem) lines.push(`  problem: ${nameOf(run.problem)}`);
  if (lacksValidator(run)) lines.push(`  ${noValidator(url, run.run)}`);
  if (run.phase !== 'finished') lines.push(...stageLines(run).map((line) => `  ${line}`));
  for (const peer of run.peers) {
    const stage = peer.stage === undefined ? '' : `, stage ${peer.stage + 1}`;
    const told = wordsOfNumbers(run.numbers.work, (peer.present && peer.progress?.numbers) || {});
    const doing = `${doingWords(peer)}${told && ` (${nameOf(told)})`}`;
    const credit = peer.role === 'worker' ? `, ${formatCount(peer.credit_amount)} ${nameOf(run.unit)} credited` : '';
    lines.push(`  ${peer.id.slice(0, 8)}  ${peer.role.padEnd(9)}  ${nameOf(peer.name)}  ${doing}${stage}${credit}`);
  }
  return lines.join('\n');
}

/** Who holds each stage of a model that is cut, and how far they are together. */
function stageLines({ phase, round, stages = 0, peers }: RunStatus): string[] {
  return Array.from({ length: stages }, (_, stage) => {
    const holders = peers.filter((peer) => peer.present && peer.stage === stage);
    const named = holders.slice(0, NAMED_HOLDERS).map(({ name }) => nameOf(name));
    const more = holders.length - named.length;
    if (more > 0) named.push(`${formatCount(more)} more`);
    const done = holders.reduce(
      (sum, { progress }) => sum + (progress?.round === round ? trafficOf(progress.numbers).micro_batches : 0),
      0,
    );
    const far =
      phase === 'working' ? `; ${formatCount(done)} ${done === 1 ? 'micro-batch' : 'micro-batches'} this round` : '';
    return `stage ${stage + 1} of ${stages}: ${named.join(', ') || 'nobody'}${named.length > 0 ? far : ''}`;
  });
}

function doingWords({ present, progress }: PeerView): string {
  if (progress?.state !== 'paused') return present ? (progress?.state ?? 'here') : 'away';
  const why = progress.obstacle ? `: ${nameOf(progress.obstacle.message)}` : '';
  return `${present ? 'paused' : 'away, since it has paused'}${why}`;
}

/** Whether devices work on a run of which nobody judges. */
const lacksValidator = ({ phase, peers }: RunStatus): boolean =>
  phase !== 'finished' &&
  peers.some(({ present, role }) => present && role === 'worker') &&
  !peers.some(({ present, role }) => present && role === 'validator');

/** Why nobody earns anything, and what to do about it. */
export const noValidator = (url: string, run: string): string =>
  `no validator is here: work is merged but not credited. Start one: ${potluckHere()} join ${url} --run ${run.slice(0, 12)} --role validator`;
