// `potluck join URL`: this device takes part in a run, within its owner's rules, until its owner wants it back.
import { availableParallelism } from 'node:os';
import { Command, Option } from 'commander';
import type { Decision } from '../peer/owner-policy/decide.ts';
import { type Keeper, openKeeper } from '../peer/owner-policy/keeper.ts';
import { foreignLoadMs } from '../peer/owner-policy/load-meter.ts';
import { openProbeHere } from '../peer/owner-policy/probe.ts';
import { wordsFor } from '../peer/owner-policy/reasons.ts';
import { fired, systemClock } from '../protocol/clock.ts';
import { makePrivateFolder } from '../protocol/private-files.ts';
import { reasonAgainstGpu } from '../tensor/gpu-runtime.ts';
import { type DayKeeper, openDayKeeper, partOfCores } from './day-keeper.ts';
import { forHere } from './day-sources.ts';
import { forgetWorker, openRules, pidsHere, runsSet, writeWorker } from './device-files.ts';
import type { DeviceWorker, RunHere } from './device-worker.ts';
import { homeFolder } from './folders.ts';
import type { JoinFlags } from './join-work.ts';
import { keptProcesses } from './kept-process.ts';
import { CHILD_MARK, untilStopped } from './lifetime.ts';
import {
  decimal,
  deviceName,
  deviceOption,
  gameFileOption,
  gameHashOption,
  gameSecondsOption,
  integer,
  jsonOption,
  price,
  runsOption,
} from './options.ts';
import { openOutput } from './output.ts';
import { type OwnersLetters, openOwnersLetters } from './owners-letters.ts';
import { hubOrRun, joinWordsWithoutLinks } from './run-links.ts';
import { wishesOf } from './run-wishes.ts';

export function joinCommand(): Command {
  return new Command('join')
    .argument('[url]', 'the address of the hub, or of a run (default: what "potluck device set runs" names)', hubOrRun)
    .addOption(runsOption())
    .option('--any-run', 'whichever run is open and fits this device; when one ends, the next', false)
    .addOption(new Option('--role <role>', 'what to do').choices(['worker', 'validator']).default('worker'))
    .option('--name <name>', 'how others see this device (default: its host name)', deviceName)
    .option('--folder <dir>', "where this peer's key and its state are kept (default: under ~/.potluck/peers)")
    .option(
      '--owner <file>',
      'the key that this device earns for (default: owner.key under ~/.potluck, made on first use)',
    )
    .addOption(deviceOption())
    .option('--threads <n>', 'threads to compute with', integer(1, 256), 1)
    .option(
      '--alone',
      'nothing else needs this machine: the rules of "potluck device" do not count, its priority is not lowered, and waiting threads stay awake',
      false,
    )
    .option('--duty <part>', 'part of the time to compute, from 0.01 to 1', decimal(0.01, 1), 1)
    .option('--serve', "also answer callers with the run's present model: it can read their prompts", false)
    .option('--serve-only', 'answer callers, and take no part in rounds', false)
    .option(
      '--serve-file <file>',
      "answer callers with this .gguf file by llama.cpp in place of the run's model, and take no part in rounds",
    )
    .option('--licence <name>', 'the terms under which --serve-file is offered, where the file names none')
    .option('--serve-places <n>', 'answers to write at the same time', integer(1, 64), 2)
    .option(
      '--price-in <credits>',
      'what a million tokens of prompts cost its callers (default: with --serve-only or --serve-file what they cost this device by its tariff, else nothing)',
      price,
    )
    .option('--price-out <credits>', 'what a million tokens of answers cost its callers (default: the same)', price)
    .option('--serve-region <name>', 'where this device is, for callers that want one near them', deviceName)
    .addOption(gameFileOption())
    .addOption(gameHashOption())
    .addOption(gameSecondsOption())
    .option(
      '--adversary <name>',
      'lie to the run in a way that "potluck play --help" lists: to test a network of your own',
    )
    .option('--friend <id...>', 'those that an adversary conspires with', [])
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ potluck join http://hub.example:7700
  $ potluck join localhost:7700 --role validator
  $ potluck join localhost:7700 --duty 0.25 --name "old laptop"    a quarter of the time
  $ potluck join localhost:7700 --serve --price-in 0.05 --price-out 0.4
  $ potluck join localhost:7700 --serve-only                       answers callers, trains nothing
  $ potluck join localhost:7700 --serve-file model.gguf --licence apache-2.0
  $ potluck join localhost:7700 --any-run                          goes on to the next run when one ends
  $ potluck join localhost:7700 --run poems=70 --run plays=30      two runs, each for its part of the time

Ctrl-C hands in what is done and leaves; a second Ctrl-C leaves at once.`,
    )
    .action(async (url: string | undefined, flags: JoinFlags) => {
      // Judges repeat on a CPU: bounds between CPUs are close, those of GPUs are wide.
      if (flags.role === 'validator' && flags.device.kind === 'auto') flags.device = { kind: 'cpu' };
      if (flags.alone || process.env[CHILD_MARK]) await (await import('./join-work.ts')).joinHere(url, flags);
      else process.exitCode = await joinByRules(url, flags);
    });
}

/** Keeps a process that takes part, by the rules of its owner. @returns its exit code */
async function joinByRules(url: string | undefined, flags: JoinFlags): Promise<number> {
  const { role, json, threads, duty, device } = flags;
  const output = openOutput(json);
  const stopped = untilStopped();
  const { url: hub } = wishesOf(url, flags, url === undefined ? runsSet() : null)[0];
  const home = homeFolder();
  makePrivateFolder(home);
  let runs: RunHere[] = [];
  let letters: OwnersLetters | null = null;
  let days: DayKeeper | null = null;
  let worker: Omit<DeviceWorker, 'runs' | 'folders' | 'from_afar'> | null = null;
  let untold = false;
  const tell = (): void => {
    if (!worker) return;
    try {
      writeWorker({ ...worker, runs, ...(letters?.here() ?? { folders: [], from_afar: null }) });
      untold = false;
    } catch (error) {
      // On a full or read-only disk the rules hold as well; once is enough to say it.
      const message = `"potluck device" cannot show what this device does: ${(error as Error).message}`;
      if (!untold) output.say(`problem: ${message}`, { type: 'problem', code: 'disk-full', message });
      untold = true;
    }
  };
  const { start, use, tookEnergy } = keptProcesses(joinWordsWithoutLinks(process.argv.slice(2)), 'inherit', {
    onRuns(now) {
      runs = now;
      days?.runs(now);
      tell();
    },
    onWork(work) {
      letters?.heard(work);
      days?.work(work);
    },
  });
  let keeper: Keeper | null = null;
  // Where nothing is there to compute on, the process that works says so.
  const wanted = device.kind === 'gpu' || (device.kind === 'auto' && reasonAgainstGpu(false) === null);
  const gpu_pids = wanted ? { gpu_pids: use.gpu_pids } : {};
  const rules = openRules(systemClock, () => letters?.afar() ?? null);
  const own = { own_pids: pidsHere(use.pids), own: use, ...gpu_pids };
  const place = { clock: systemClock, folder: home, ...own, foreign_load_ms: () => foreignLoadMs(rules.settings()) };
  const probe = openProbeHere(
    place,
    once(() => keeper?.look()),
  );
  let said: Pick<Decision, 'do' | 'gpu_reasons'> = { do: 'run', gpu_reasons: [] };
  const onDecision = (decision: Decision): void => {
    days?.decided(decision);
    const { do: what, duty: part } = decision;
    const why = { reasons: [...decision.reasons], gpu_reasons: [...decision.gpu_reasons] };
    output.say(wordsOf(decision, said), { type: 'policy', do: what, duty: part, ...why });
    said = decision;
    worker = { pid: process.pid, url: hub, role, do: what, duty: part, ...why, since_ms: Date.now() };
    tell();
    letters?.decided(decision);
  };
  const onStruck = (signal: string, again_ms: number | null): void =>
    output.say(wordsOfStrike(signal, again_ms), { type: 'struck', signal, again_ms });
  try {
    await probe.ready;
    const onChange = (): void => {
      keeper?.look();
      tell();
    };
    const today = (of: string) => days?.today(of) ?? null;
    letters = await openOwnersLetters({ ...flags, url: hub, signals: probe.now, today, local: rules.local, onChange });
    const counts = openDayKeeper({
      ...{ clock: systemClock, part: partOfCores(threads, duty), settings: rules.settings },
      ...forHere(use, probe.now),
      onEnergy: tookEnergy,
      onProblem: (message) =>
        output.say(`problem (day-receipt): ${message}`, { type: 'problem', code: 'day-receipt', message }),
    });
    days = counts;
    keeper = openKeeper({
      ...{ clock: systemClock, cores: availableParallelism(), threads, duty, start, onDecision, onStruck },
      ...{ signals: () => ({ ...probe.now(), worth: counts.worth() }), ...rules, gpu: wanted ? 'any' : null },
    });
    const { ended } = keeper;
    keeper.look();
    void fired(stopped).then(() => keeper?.leave());
    return await ended;
  } finally {
    await letters?.close();
    await days?.close();
    probe.close();
    forgetWorker(process.pid);
  }
}

/** Several sources that answer at the same moment are one reason to look. */
function once(act: () => void): () => void {
  let due = false;
  return () => {
    if (due) return;
    due = true;
    setImmediate(() => {
      due = false;
      act();
    });
  };
}

/** What people read of a decision; nothing where a device simply works. */
function wordsOf(decision: Decision, before: Pick<Decision, 'do' | 'gpu_reasons'>): string {
  const lines = [deviceWords(decision, before.do)];
  const { gpu_reasons } = decision;
  if (gpu_reasons.length > 0) lines.push(`the GPU rests: ${wordsFor(gpu_reasons)}`);
  else if (before.gpu_reasons.length > 0) lines.push('nothing holds the GPU up any more');
  return lines.filter((line) => line !== '').join('\n');
}

function wordsOfStrike(signal: string, again_ms: number | null): string {
  const why =
    signal === 'SIGKILL'
      ? 'the system has ended it (SIGKILL), most often because memory was short'
      : `it crashed (${signal})`;
  const what =
    again_ms === null ? 'this happens again and again, so it stays away' : `it starts again in ${again_ms / 1000} s`;
  return `${why}: what it had done in this round is lost; ${what}`;
}

function deviceWords({ do: what, duty, reasons }: Decision, before: Decision['do']): string {
  if (what === 'pause') return `paused: ${wordsFor(reasons)}`;
  if (what === 'slow-down') {
    const how = duty < 1 ? `${Math.round(duty * 100)}% of the time` : 'with fewer cores';
    return `slower, ${how}: ${wordsFor(reasons)}`;
  }
  return before === 'run' ? '' : 'nothing holds it up any more: it goes on';
}
