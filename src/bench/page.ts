// The page and the tab in headless Chromium on a real hub: first contribution, weight, scrolling, speed, a kill, a mixed run; each beside its target.
import { median } from '../training/statistics.ts';
import { flag, list, oneOf, optional, type Report, text, type Values, whole } from './bench.ts';
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
import { table } from './report.ts';

const PARTS = ['visit', 'weight', 'walk', 'stop', 'scroll', 'killed', 'audit', 'ledger', 'training'] as const;
type Part = (typeof PARTS)[number];

const count = (about: string, usual: number) => whole(about, { from: 1, to: 100_000, usual });

export const options = {
  only: optional(list(oneOf('what to measure; otherwise everything', PARTS, 'visit'))),
  visits: count('visits with an empty browser, to the first accepted work', 3),
  peers: count('simulated devices on the list that is scrolled', 1000),
  threads: count('threads of WASM, in the tab and in Node', 2),
  training_rounds: count('interleaved rounds of ten steps each', 8),
  mixed: flag('instead (with --only: also) compares two Node workers and two tabs with four Node workers'),
  steps: count('inner steps of each worker in the mixed run; bench parity has 2000', 600),
  inner_steps: count('inner steps of a round in the mixed run', 30),
  data: text('text to learn from; otherwise the documentation that npm installed', 'PATH'),
};

export const notes = `With Tiny Shakespeare and --steps 2000 the mixed run has the text, length and rates of the sparse-30 of bench parity. The hub, validators
and workers are processes, the browser is headless Chromium without a GPU. The model is config (a) of bench compute; a round has 30
steps as potluck run create gives it; the first work of a device is a short one (peer/first-work.ts). "Accepted" means: a validator has
trained the steps again and its verdict is in the log.`;

interface Figure {
  readonly what: string;
  readonly measured: string;
  readonly target: string;
  readonly reached: boolean | null;
}

interface Measured {
  readonly figures: Figure[];
  readonly data: Record<string, unknown>;
}

export async function run(given: Values<typeof options>): Promise<Report> {
  if (!CHROMIUM) throw new BenchError('usage', 'bench page needs Chromium: install the package "chromium"');
  const { visits, peers, threads, training_rounds, mixed, steps, inner_steps } = given;
  const report: Measured = { figures: [], data: {} };
  const network = await startPageNetwork(given.data);
  const browser = await launch(NO_GPU);
  const measure: Readonly<Record<Part | 'mixed', () => Promise<void>>> = {
    async visit() {
      await reportVisits(report, visits, (visit) => measureVisit(network, browser, visit));
      await reportCommand(report, visits, (visit) => measureCommand(network, visit));
    },
    weight: async () => reportWeight(report, await measureWeight(network)),
    walk: async () => reportWalk(report, await measureWalk(network, browser)),
    stop: async () => reportStop(report, await measureStop(network, browser)),
    scroll: async () => reportScrolling(report, await measureScrolling(network, browser, peers)),
    killed: async () => reportKill(report, await measureKill(network, browser)),
    audit: async () => reportAudit(report, await measureAudit(network, browser)),
    ledger: async () => reportLedger(report, await measureLedger(network, browser)),
    training: async () => reportTraining(report, await measureTraining(threads, training_rounds)),
    async mixed() {
      const [both, node] = [await trained(2, 2), await trained(4, 0)];
      reportMixed(report, both, node);
    },
  };
  const trained = (workers: number, tabs: number) =>
    train(network, browser, { steps, inner_steps }, [workers, tabs] as const);
  try {
    for (const part of [...(given.only ?? (mixed ? [] : PARTS)), ...(mixed ? (['mixed'] as const) : [])]) {
      console.error(`bench page: ${part} …`);
      await measure[part]();
    }
  } finally {
    await browser.close();
    await network.close();
  }
  const { figures, data } = report;
  const rows = figures.map(({ what, measured, target, reached }) => [
    ...[what, measured, target, reached === null ? '' : reached ? 'yes' : 'NO'],
  ]);
  const headings = ['headless Chromium without a GPU, config (a) of bench compute', 'measured', 'target', 'reached'];
  return { data: { figures, ...data }, text: table(headings, rows) };
}

/** Adds a figure; `reached` null where there is no target. */
function add(report: Measured, what: string, measured: string, target = '', reached: boolean | null = null): void {
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
  report: Measured,
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
  report: Measured,
  count: number,
  measure: (visit: number) => ReturnType<typeof measureCommand>,
): Promise<void> {
  const joined = await oneAfterTheOther(count, measure);
  report.data.commands = joined;
  const merged_s = median(joined.map((one) => one.seconds));
  add(report, 'potluck join to the first work that is merged', seconds(merged_s), '≤ 5 s', merged_s <= 5);
  add(report, '  steps of that work', String(median(joined.map((one) => one.steps))));
}

function reportWeight(report: Measured, weight: Awaited<ReturnType<typeof measureWeight>>): void {
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

function reportWalk(report: Measured, walk: Awaited<ReturnType<typeof measureWalk>>): void {
  report.data.walk = walk;
  for (const { working, ways, dead, errors } of walk) {
    const what = `page errors on ${ways} ways from view to view${working ? ', while the tab works' : ''}`;
    const wrong = dead.length + errors;
    add(report, what, String(wrong), '0', wrong === 0);
  }
}

function reportStop(report: Measured, stops: Awaited<ReturnType<typeof measureStop>>): void {
  report.data.stop = stops;
  for (const { pressed_while, took_ms, ended_ms, step_ms, said } of stops) {
    const most_ms = pressed_while === 'stopping' ? 100 : step_ms + 500;
    const target = step_ms > 0 ? `≤ a step of ${Math.round(step_ms)} ms + 0.5 s` : `≤ ${most_ms / 1000} s`;
    const back = said.slice(1).some((words) => /^(Working|Waiting|Sending|Catching)/.test(words));
    const what = `from Stop to "Stopped" while ${pressed_while}${back ? ', and it took it back' : ''}`;
    add(report, what, seconds(took_ms / 1000), target, took_ms <= most_ms && !back);
    if (pressed_while === 'training') add(report, '  until its work is handed in as well', seconds(ended_ms / 1000));
  }
}

function reportScrolling(report: Measured, smooth: Awaited<ReturnType<typeof measureScrolling>>): void {
  report.data.scrolling = smooth;
  const { peers, frames_per_second: fps, longest_frame_ms } = smooth;
  add(report, `frames a second while a list of ${peers} devices is scrolled`, fps.toFixed(1), '≥ 50', fps >= 50);
  add(report, '  scrolled by', `${smooth.scrolled} pixels`);
  add(report, '  longest frame', `${longest_frame_ms.toFixed(0)} ms`);
}

function reportKill(report: Measured, killed: Awaited<ReturnType<typeof measureKill>>): void {
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

function reportAudit(report: Measured, audited: Awaited<ReturnType<typeof measureAudit>>): void {
  report.data.audit = audited;
  const { events, seconds: took_s, events_per_second, models, with_models_seconds } = audited;
  add(report, `an audit of ${events} events in the page, without the models`, seconds(took_s));
  add(report, '  events a second', events_per_second.toLocaleString('en-US'));
  add(report, `  the same with ${models} model versions`, seconds(with_models_seconds));
}

function reportLedger(report: Measured, cost: Awaited<ReturnType<typeof measureLedger>>): void {
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

function reportTraining(report: Measured, speed: Awaited<ReturnType<typeof measureTraining>>): void {
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
  report: Measured,
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
