// The page and the tab in headless Chromium on a real hub: first contribution, weight, scrolling, speed, a kill, a mixed run; each beside its target.
import { parseArgs } from 'node:util';
import { median } from '../training/statistics.ts';
import { CHROMIUM, launch, NO_GPU } from './chromium.ts';
import { BenchError } from './errors.ts';
import { measureAudit } from './page/audit.ts';
import { measureKill } from './page/killed.ts';
import { measureLedger, type OpenLedger } from './page/ledger.ts';
import { train } from './page/mixed.ts';
import { startPageNetwork } from './page/network.ts';
import { measureScrolling } from './page/scroll.ts';
import { measureStop } from './page/stop.ts';
import { measureTraining } from './page/training.ts';
import { measureCommand, measureVisit, medianTimeline } from './page/visit.ts';
import { measureWalk } from './page/walk.ts';
import { measureWeight } from './page/weight.ts';
import { table, writeJson } from './report.ts';

const PARTS = ['visit', 'weight', 'walk', 'stop', 'scroll', 'killed', 'audit', 'ledger', 'training'] as const;
type Part = (typeof PARTS)[number];

const HELP = `npm run bench page [-- OPTIONS]

  --only LIST       of ${PARTS.join(', ')} (default: all of them)
  --visits N        visits with an empty browser, to the first accepted work (default 3)
  --peers N         simulated devices on the list that is scrolled (default 1000)
  --threads N       of WASM, in the tab and in Node (default 2)
  --training-rounds N   interleaved rounds of ten steps each (default 8)
  --mixed           instead of these (with --only: besides) two Node workers and two tabs against four Node workers
  --steps N         inner steps of each worker in the mixed run (default 600; bench parity has 2000)
  --inner-steps N   of a round (default 30)
  --data PATH       text to learn from (default: the documentation that npm installed); with Tiny Shakespeare and
                    --steps 2000 the mixed run has the text, length and rates of the sparse-30 of bench parity
  --json FILE       the measurements as JSON; "-" for standard output instead of the table

The hub, validators and workers are processes, the browser is headless Chromium without a GPU. The model is config (a) of
bench compute, a round has 30 steps as potluck run create gives it; the first work of a device is a short one (peer/first-work.ts).
"Accepted" means: a validator has trained the steps again and its verdict is in the log.`;

interface Figure {
  readonly what: string;
  readonly measured: string;
  readonly target: string;
  readonly reached: boolean | null;
}

interface Report {
  readonly figures: Figure[];
  readonly data: Record<string, unknown>;
}

/** Measures and prints. Throws BenchError usage. */
export async function run(args: string[]): Promise<void> {
  const options = parse(args);
  if (!options) return console.log(HELP);
  if (!CHROMIUM) throw new BenchError('usage', 'bench page needs Chromium: install the package "chromium"');
  const report: Report = { figures: [], data: {} };
  const network = await startPageNetwork(options.data);
  const browser = await launch(NO_GPU);
  const tell = (what: string) => console.error(`bench page: ${what} …`);
  try {
    if (options.only.includes('visit')) {
      tell(`${options.visits} visits`);
      await reportVisits(report, options.visits, (visit) => measureVisit(network, browser, visit));
      tell(`the same by the command, ${options.visits} times`);
      await reportCommand(report, options.visits, (visit) => measureCommand(network, visit));
    }
    if (options.only.includes('weight')) {
      tell('weight of the page');
      reportWeight(report, await measureWeight(network));
    }
    if (options.only.includes('walk')) {
      tell('every view to every view');
      reportWalk(report, await measureWalk(network, browser));
    }
    if (options.only.includes('stop')) {
      tell('a tab that is stopped');
      reportStop(report, await measureStop(network, browser));
    }
    if (options.only.includes('scroll')) {
      tell(`a list of ${options.peers} devices`);
      reportScrolling(report, await measureScrolling(network, browser, options.peers));
    }
    if (options.only.includes('killed')) {
      tell('a tab that is killed');
      reportKill(report, await measureKill(network, browser));
    }
    if (options.only.includes('audit')) {
      tell('an audit in the page');
      reportAudit(report, await measureAudit(network, browser));
    }
    if (options.only.includes('ledger')) {
      tell('a ledger that is left open');
      reportLedger(report, await measureLedger(network, browser));
    }
    if (options.only.includes('training')) {
      tell('WASM in the tab and in Node');
      reportTraining(report, await measureTraining(options.threads, options.training_rounds));
    }
    if (options.mixed) {
      const { steps, inner_steps } = options;
      const seats = { mixed: [2, 2], node: [4, 0] } as const;
      tell('two Node workers and two tabs');
      const mixed = await train(network, browser, { steps, inner_steps }, seats.mixed);
      tell('four Node workers');
      reportMixed(report, mixed, await train(network, browser, { steps, inner_steps }, seats.node));
    }
  } finally {
    await browser.close();
    await network.close();
  }
  const { figures, data } = report;
  if (options.json) writeJson(options.json, { figures, ...data });
  if (options.json === '-') return;
  const rows = figures.map(({ what, measured, target, reached }) => [
    what,
    measured,
    target,
    reached === null ? '' : reached ? 'yes' : 'NO',
  ]);
  console.log(
    table(['headless Chromium without a GPU, config (a) of bench compute', 'measured', 'target', 'reached'], rows),
  );
}

/** Adds a figure; `reached` null where there is no target. */
function add(report: Report, what: string, measured: string, target = '', reached: boolean | null = null): void {
  report.figures.push({ what, measured, target, reached });
}

const seconds = (value: number): string => `${value.toFixed(value < 1 ? 2 : 1)} s`;
const kilobytes = (size_bytes: number): string => `${(size_bytes / 1000).toFixed(1)} kB`;

async function oneAfterTheOther<T>(count: number, measure: (visit: number) => Promise<T>): Promise<T[]> {
  const measured: T[] = [];
  for (let visit = 0; visit < count; visit++) measured.push(await measure(visit));
  return measured;
}

async function reportVisits(
  report: Report,
  count: number,
  measure: (visit: number) => ReturnType<typeof measureVisit>,
): Promise<void> {
  const visits = await oneAfterTheOther(count, measure);
  report.data.visits = visits.map(({ timeline, ...more }) => ({ ...more, ...Object.fromEntries(timeline) }));
  const steps = [...medianTimeline(visits.map(({ timeline }) => timeline))];
  const [, accepted_s] = steps.at(-1)!;
  add(report, 'opening the link to the first accepted contribution', seconds(accepted_s), '≤ 10 s', accepted_s <= 10);
  for (const [what, at_s] of steps) add(report, `  ${what}`, seconds(at_s));
  add(report, '  steps of that work', String(median(visits.map((visit) => visit.steps))));
  for (const what of new Set(visits.map(({ computes_on }) => computes_on))) add(report, '  computed on', what);
}

async function reportCommand(
  report: Report,
  count: number,
  measure: (visit: number) => ReturnType<typeof measureCommand>,
): Promise<void> {
  const joined = await oneAfterTheOther(count, measure);
  report.data.commands = joined;
  const merged_s = median(joined.map((one) => one.seconds));
  add(report, 'potluck join to the first work that is merged', seconds(merged_s), '≤ 5 s', merged_s <= 5);
  add(report, '  steps of that work', String(median(joined.map((one) => one.steps))));
}

function reportWeight(report: Report, weight: Awaited<ReturnType<typeof measureWeight>>): void {
  report.data.weight = weight;
  const { before_bytes, before_files, computing_before_consent: computing } = weight;
  const light = before_bytes <= 100_000;
  add(
    report,
    `the page before contributing, gzipped, ${before_files} files`,
    kilobytes(before_bytes),
    '≤ 100 kB',
    light,
  );
  const { to_button_bytes, to_button_files } = weight;
  const way = `along the way: link, run, My device, ${to_button_files} files`;
  add(report, way, kilobytes(to_button_bytes), '≤ 100 kB', to_button_bytes <= 100_000);
  add(report, '  of them needed only to compute', String(computing), '0', computing === 0);
  add(report, 'fetched on consent', kilobytes(weight.on_consent_bytes));
  add(report, '  of it WebAssembly', kilobytes(weight.on_consent_wasm_bytes));
  add(report, 'fetched on the second visit, in all', kilobytes(weight.second_visit_bytes));
  const { second_visit_wasm_bytes: again, on_consent_wasm_bytes: once } = weight;
  add(report, '  of it WebAssembly', kilobytes(again), '0, it is cached', once > 0 && again === 0);
}

function reportWalk(report: Report, walk: Awaited<ReturnType<typeof measureWalk>>): void {
  report.data.walk = walk;
  for (const { working, ways, dead, errors } of walk) {
    const what = `page errors on ${ways} ways from view to view${working ? ', while the tab works' : ''}`;
    const wrong = dead.length + errors;
    add(report, what, String(wrong), '0', wrong === 0);
  }
}

function reportStop(report: Report, stops: Awaited<ReturnType<typeof measureStop>>): void {
  report.data.stop = stops;
  for (const { pressed_while, took_ms, ended_ms, step_ms, said } of stops) {
    const most_ms = pressed_while === 'stopping' ? 100 : step_ms + 500;
    const target = step_ms > 0 ? `≤ a step of ${Math.round(step_ms)} ms + 0.5 s` : `≤ ${most_ms / 1000} s`;
    const back = said.slice(1).some((words) => /^(Training|Waiting|Sending|Catching)/.test(words));
    const what = `from Stop to "Stopped" while ${pressed_while}${back ? ', and it took it back' : ''}`;
    add(report, what, seconds(took_ms / 1000), target, took_ms <= most_ms && !back);
    if (pressed_while === 'training') add(report, '  until its work is handed in as well', seconds(ended_ms / 1000));
  }
}

function reportScrolling(report: Report, smooth: Awaited<ReturnType<typeof measureScrolling>>): void {
  report.data.scrolling = smooth;
  const { peers, frames_per_second: fps, longest_frame_ms } = smooth;
  add(report, `frames a second while a list of ${peers} devices is scrolled`, fps.toFixed(1), '≥ 50', fps >= 50);
  add(report, '  scrolled by', `${smooth.scrolled} pixels`);
  add(report, '  longest frame', `${longest_frame_ms.toFixed(0)} ms`);
}

function reportKill(report: Report, killed: Awaited<ReturnType<typeof measureKill>>): void {
  report.data.killed = killed;
  const { handed_in, credited, steps_lost, round } = killed;
  const kept = credited === handed_in && killed.credited_tokens === killed.handed_in_tokens && killed.refused === 0;
  add(
    report,
    `a tab killed in round ${round}: rounds credited of those handed in`,
    `${credited} of ${handed_in}`,
    'all',
    kept,
  );
  add(report, '  micro-batches lost: those of the round in which it died', String(steps_lost));
  const unharmed = killed.merged_without_it && killed.other_refused === 0 && killed.finished;
  add(
    report,
    '  the round was merged without it, the run finished, nobody else lost work',
    unharmed ? 'yes' : 'no',
    'yes',
    unharmed,
  );
}

function reportAudit(report: Report, audited: Awaited<ReturnType<typeof measureAudit>>): void {
  report.data.audit = audited;
  const { events, seconds: took_s, events_per_second, models, with_models_seconds } = audited;
  add(report, `an audit of ${events} events in the page, without the models`, seconds(took_s));
  add(report, '  events a second', events_per_second.toLocaleString('en-US'));
  add(report, `  the same with ${models} model versions`, seconds(with_models_seconds));
}

function reportLedger(report: Report, cost: Awaited<ReturnType<typeof measureLedger>>): void {
  report.data.ledger = cost;
  const tell = (what: string, open: OpenLedger, most_bytes: number): void => {
    const { log_bytes_per_hour: log, socket_bytes_per_hour: socket, events_per_hour: events } = open;
    const target = `≤ ${(most_bytes / 1e6).toFixed(0)} MB`;
    add(report, `an open ledger, ${what}: of the log in an hour`, kilobytes(log), target, log <= most_bytes);
    add(report, '  by the page’s socket, whatever view is open', kilobytes(socket));
    add(report, '  events in an hour', Math.round(events).toLocaleString('en-US'));
  };
  tell('nothing happens', cost.quiet, 1e6);
  tell('a run at work', cost.busy, 1e6);
  tell('a run at work, followed', cost.followed, 5e6);
}

function reportTraining(report: Report, speed: Awaited<ReturnType<typeof measureTraining>>): void {
  report.data.training = speed;
  const { threads, tab_ms, node_ms, ratio, spread, same_loss } = speed;
  add(
    report,
    `a training step on WASM in the tab, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
    `${tab_ms.toFixed(1)} ms`,
  );
  add(report, '  the same in Node', `${node_ms.toFixed(1)} ms`);
  add(report, '  speed of the tab against Node', `${ratio.toFixed(2)} ± ${spread.toFixed(2)}`, '≥ 0.9', ratio >= 0.9);
  add(report, '  the same bits', same_loss ? 'yes' : 'no', 'yes', same_loss);
}

function reportMixed(
  report: Report,
  mixed: Awaited<ReturnType<typeof train>>,
  node: Awaited<ReturnType<typeof train>>,
): void {
  const difference = mixed.validation_loss / node.validation_loss - 1;
  report.data.mixed = { mixed, node, difference };
  const tokens = mixed.verified_tokens.toLocaleString('en-US');
  add(
    report,
    `validation loss, two in Node and two tabs, ${mixed.rounds} rounds, ${tokens} tokens`,
    mixed.validation_loss.toFixed(4),
  );
  add(report, '  the same with four in Node', node.validation_loss.toFixed(4));
  add(report, '  difference', `${(100 * difference).toFixed(2)} %`, 'within 1 %', Math.abs(difference) <= 0.01);
}

interface Options {
  readonly only: readonly Part[];
  readonly visits: number;
  readonly peers: number;
  readonly threads: number;
  readonly training_rounds: number;
  readonly mixed: boolean;
  readonly steps: number;
  readonly inner_steps: number;
  readonly data: string | null;
  readonly json: string | null;
}

function parse(args: string[]): Options | null {
  let values: ReturnType<typeof parseFlags>;
  try {
    values = parseFlags(args);
  } catch (error) {
    throw new BenchError('usage', `bench page: ${(error as Error).message}`);
  }
  if (values.help) return null;
  const count = (
    name: 'visits' | 'peers' | 'threads' | 'training-rounds' | 'steps' | 'inner-steps',
    usual: number,
  ): number => {
    const value = Number(values[name] ?? usual);
    if (Number.isInteger(value) && value >= 1 && value <= 100_000) return value;
    throw new BenchError('usage', `--${name}: expected a whole number from 1 to 100000, got "${values[name]}"`);
  };
  const only = values.only?.split(',') ?? (values.mixed ? [] : PARTS);
  for (const part of only) {
    if (PARTS.includes(part as Part)) continue;
    throw new BenchError('usage', `--only: "${part}" is none of ${PARTS.join(', ')}`);
  }
  return {
    only: only as Part[],
    visits: count('visits', 3),
    peers: count('peers', 1000),
    threads: count('threads', 2),
    training_rounds: count('training-rounds', 8),
    mixed: values.mixed,
    steps: count('steps', 600),
    inner_steps: count('inner-steps', 30),
    data: values.data ?? null,
    json: values.json ?? null,
  };
}

function parseFlags(args: string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const counts = {
    visits: text,
    peers: text,
    threads: text,
    'training-rounds': text,
    steps: text,
    'inner-steps': text,
  };
  return parseArgs({ args, options: { only: text, ...counts, mixed: flag, data: text, json: text, help: flag } })
    .values;
}
