// How a validator judges the work of a stage: its form, and what its transcript says of itself.
import { CodedError } from '../../errors.ts';
import { decodeUpdate } from '../../training/sparse.ts';
import type { Claim, Device, Judging, Verdict } from '../game.ts';
import { amountOf, type PipelineTask } from './params.ts';
import { planOf } from './perform.ts';
import { decodeStageWork, type Entry } from './work.ts';

/** Why work is not accepted. */
class Refused extends Error {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

export async function checkWork(task: PipelineTask, claim: Claim, device: Device, judging: Judging): Promise<Verdict> {
  const evidence = { game: 'pipeline', stage: task.round.stage, runtime: judging.runtime, by: device.runtime.class };
  const found = { score_micro: 0, numbers: {}, evidence };
  try {
    checkForm(task, claim);
    return { accepted: true, fraud: false, code: 'ok', weight: claim.amount, ...found };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { accepted: false, fraud: true, code: error.code, weight: 0, ...found };
  }
}

/** What honest software never gets wrong. */
function checkForm(task: PipelineTask, { work, amount, numbers }: Claim): void {
  const plan = planOf(task);
  const read = orRefused(() => decodeStageWork(work));
  orRefused(() => decodeUpdate(plan.specs, read.update, task.params.sparse));
  if (read.stage !== plan.stage) throw new Refused('another-stage');
  const { transcript } = read;
  const [first, last] = [plan.range.embedding, plan.range.head];
  const fits = (entry: Entry): boolean => {
    if (entry.kind === 'learn') return last;
    if (entry.kind === 'forward') return !last && (entry.came === null) === first;
    return entry.kind === 'step' || (!last && (entry.went === null) === first);
  };
  if (!transcript.every(fits)) throw new Refused('entries-of-another-stage');
  const back = transcript.filter(({ kind }) => kind === 'backward' || kind === 'learn');
  const steps = transcript.filter(({ kind }) => kind === 'step');
  if (new Set(back.map(keyOf)).size !== back.length) throw new Refused('micro-batch-twice');
  if (numbers.micro_batches !== back.length) throw new Refused('micro-batches-do-not-follow');
  if (numbers.steps !== steps.length) throw new Refused('steps-do-not-follow');
  const forward = transcript.filter(({ kind }) => kind === 'forward').length - (last ? 0 : back.length);
  if (amount !== amountOf(task.params, plan, { finished: back.length, forward }))
    throw new Refused('amount-does-not-follow');
  if (last && numbers.loss_micro !== lossOf(back)) throw new Refused('loss-does-not-follow');
}

/** A forward pass has one way back; what was learned at once is told apart by its micro-batch and its sender. */
function keyOf(entry: Entry): string {
  if (entry.kind === 'backward') return String(entry.forward);
  return entry.kind === 'learn' ? `${entry.of.origin} ${entry.of.number} ${entry.came.by}` : '';
}

/** The mean of what the entries tell, to what it was rounded. */
const lossOf = (entries: readonly Entry[]): number => {
  const losses = entries.map((entry) => (entry.kind === 'learn' ? entry.loss_micro : 0));
  return Math.round(losses.reduce((sum, loss) => sum + loss, 0) / losses.length);
};

function orRefused<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof CodedError) throw new Refused(error.code);
    throw error;
  }
}
