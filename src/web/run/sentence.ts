// A run in one plain sentence, and in a second one what its reader can do about it.
import { trainsOnText } from '../../games/text-training.ts';
import { valueText } from '../../protocol/measures.ts';
import type { PeerView, RunOverview } from '../../protocol/messages.ts';
import { formatCount, formatDuration, formatWhole, nameOf } from '../shell/format.ts';

export interface RunSentence {
  readonly sentence: string;
  /** What follows from it for whoever reads; null where nothing does. */
  readonly next: string | null;
  /** The one thing to press. */
  readonly action: 'lend' | 'play' | 'start' | null;
}

/** Speaks of a run that lives, waits, is paused, or is over, each as what it is. */
export function describeRun(run: RunOverview, peers: Iterable<PeerView>): RunSentence {
  const all = [...peers];
  const workers = all.filter(({ role }) => role === 'worker');
  const here = workers.filter(({ present }) => present).length;
  const gave = workers.filter(({ merged_submissions }) => merged_submissions > 0).length;
  const learns = trainsOnText(run.game);
  const { phase, round, rounds, problem } = run;
  const has = learns
    ? `It has read ${formatCount(run.merged_amount)} tokens.`
    : `It has merged ${formatCount(run.merged_amount)} ${nameOf(run.unit)}.`;
  const thing = learns ? 'a small model' : `a game of ${nameOf(run.game)}`;
  if (run.moved) return { sentence: 'Gone to another hub.', next: null, action: null };
  if (phase === 'finished') return over(run, gave, learns);
  if (phase === 'paused') {
    return {
      sentence:
        problem !== null
          ? `Paused. ${has}`
          : round === 0
            ? 'Paused by its owner before anything was learned.'
            : `Paused by its owner. ${has}`,
      next: 'Nobody works now, and nothing is lost. When its owner resumes it, devices here go on.',
      action: null,
    };
  }
  if (phase === 'gathering' && round === 0) {
    const missing = run.workers_needed - here;
    return {
      sentence:
        here === 0
          ? `${capital(thing)} waits for its first device.`
          : `${devicesAre(here)} here. ${missing > 0 ? `${missing} more, and it begins.` : 'It is about to begin.'}`,
      next:
        missing > 0 && run.workers_needed > 1
          ? `It begins when ${many(run.workers_needed, 'device')} are here. Lend this one, or share the link.`
          : 'Lend this one, or share the link: it begins as soon as a device comes.',
      action: 'lend',
    };
  }
  if (here === 0) {
    return {
      sentence: `Nobody is at work now. ${has}`,
      next: `${formatWhole(round)} of ${many(rounds, 'round')} are merged. It waits for a device, and nothing is lost.`,
      action: 'lend',
    };
  }
  if (phase === 'gathering' && here < run.workers_needed) {
    const cut =
      run.stages === undefined ? '' : `Its model is cut into ${many(run.stages, 'stage')}, and each needs a device. `;
    return {
      sentence: `${devicesAre(here)} here. ${run.workers_needed - here} more, and it goes on. ${has}`,
      next: `${cut}Lend this one, or share the link.`,
      action: 'lend',
    };
  }
  const doing = learns ? 'teaching' : 'playing';
  return { sentence: `${devicesAre(here)} ${doing} ${thing}. ${has}`, next: trouble(run), action: 'lend' };
}

/** Rounds that begin so often without work are no chance. */
const IDLE_ATTEMPTS = 2;

/** What goes wrong in a run that goes on, with a way out; null where nothing does. */
function trouble(run: RunOverview): string | null {
  const { attempt, round_ms, problem } = run;
  if (problem !== null) return null; // the hub itself says what
  if (attempt >= IDLE_ATTEMPTS) {
    return `This round has begun ${many(attempt + 1, 'time')}: no work came in before it closed. The devices here may be too slow for rounds of ${formatDuration(round_ms)}; a faster one can help.`;
  }
  const { name, words, better, first, last } = run.metrics[0];
  if (last === null || first === null || (better === 'lower' ? last <= first : last >= first)) return null;
  const than = `${better === 'lower' ? 'higher' : 'lower'} than at first, ${valueText(name, last)} instead of ${valueText(name, first)}`;
  const advice = trainsOnText(run.game) ? ' with a lower learning rate' : '';
  return `${capital(nameOf(words))} is ${than}: the model gets worse. Its owner can end the run and start another${advice}.`;
}

function over({ round, rounds, merged_amount }: RunOverview, gave: number, learns: boolean): RunSentence {
  if (round === 0) {
    const next = 'No round was merged, so there is no trained model.';
    return { sentence: 'Ended by its owner before anything was learned.', next, action: 'start' };
  }
  const what = learns ? `taught a small model from ${formatCount(merged_amount)} tokens` : 'played it to its end';
  const who = gave === 0 ? 'Devices' : gave === 1 ? 'One device' : `${formatWhole(gave)} devices`;
  const early = round < rounds;
  return {
    sentence: `${who} ${what}. ${early ? `Its owner ended it after ${formatWhole(round)} of ${many(rounds, 'round')}.` : 'It is finished.'}`,
    next: learns ? 'The model is here to play with, and to take home.' : null,
    action: learns ? 'play' : null,
  };
}

const many = (count: number, what: string): string => `${formatWhole(count)} ${what}${count === 1 ? '' : 's'}`;
const devicesAre = (count: number): string => (count === 1 ? 'One device is' : `${formatWhole(count)} devices are`);
const capital = (text: string): string => text[0].toUpperCase() + text.slice(1);
