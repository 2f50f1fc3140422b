// How a validator judges the work of a stage, cheapest first: its form, and what its transcript says of itself; sameness with earlier work; and
// where it was drawn to repeat, the first entries of the transcript again.
import { bytesToHex } from '@noble/hashes/utils.js';
import { CodedError } from '../../errors.ts';
import { overlapOf } from '../../training/re-execution.ts';
import { decodeUpdate } from '../../training/sparse.ts';
import type { Claim, Device, Judging, Verdict } from '../game.ts';
import { AFRESH, statesLeft } from '../pretrain/carried.ts';
import { orRefused, Refused } from '../refused.ts';
import { mostMade, type PipelineTask, type StagePlan } from './params.ts';
import { endAt, planOf } from './perform.ts';
import { type Judged, repeatWork } from './repeat.ts';
import { Tally } from './tally.ts';
import { decodeStageWork, type Entry, type StageWork } from './work.ts';

export async function checkWork(task: PipelineTask, claim: Claim, device: Device, judging: Judging): Promise<Verdict> {
  const evidence: Record<string, unknown> = {
    ...{ game: 'pipeline', stage: task.round.stage, runtime: judging.runtime, by: device.runtime.class },
  };
  const found = { score_micro: 0, numbers: {}, evidence };
  try {
    const plan = planOf(task);
    const { work, update } = openClaim(task, plan, claim);
    const judged = { task, plan, work, update, device, judging };
    checkPartners(judged);
    await checkStart(judged);
    if (judging.looks) evidence.overlap = await compareWithEarlier(judged);
    if (judging.repeat_permille > 0) {
      // Of a round that is long over nobody has kept what was handed on: who judges from the log alone can say nothing more.
      if (!device.channel) throw new Refused('inputs-not-kept', false);
      evidence.repeated = await repeatWork(judged);
    }
    return { accepted: true, fraud: false, code: 'ok', weight: claim.amount, ...found };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const { code, fraud } = error;
    if (Object.keys(error.evidence).length > 0) evidence.refused = error.evidence;
    return { accepted: false, fraud, code, weight: 0, ...found };
  }
}

/** A judge may miss a device that came and left within a moment. */
const STRANGERS_PERMILLE = 100;

/**
 * Keys are free: whoever signs as its own neighbour works on inputs of its own choice. So what came in must come of workers that held the stages
 * before and after it in this round, and be made by ones of the first.
 */
function checkPartners({ plan, work, device }: Judged): void {
  const held = device.channel?.held();
  if (!held) return;
  const holds = (id: string, stage: number): boolean => held.get(id)?.has(stage) === true;
  const came = work.transcript.filter((entry) => entry.kind !== 'step').filter(({ came }) => came !== null);
  const strange = came.filter((entry) => {
    const isKnown = entry.kind === 'backward' || holds(entry.of.origin, 0);
    return !isKnown || !holds(entry.came!.by, plan.stage + (entry.kind === 'backward' ? 1 : -1));
  });
  if (1000 * strange.length > STRANGERS_PERMILLE * came.length) {
    throw new Refused('from-strangers', false, { entries: came.length, strange: strange.length });
  }
}

/** It must begin afresh, or with what work of its stage in the last round leaves: anything else could not be checked by anybody. */
async function checkStart({ task, plan, work, device }: Judged): Promise<void> {
  const start = bytesToHex(work.start);
  if (start === bytesToHex(AFRESH)) return;
  const left = await statesLeft(device, task.round, endAt(plan.stage));
  if (!left.has(start)) throw new Refused('unknown-start', false);
}

/**
 * Two devices that were handed the very same micro-batches do the same work, so a copy is refused, but nobody is called a liar for it: whoever
 * copies from a stranger cannot show what it was handed.
 */
const COPIED = 0.85;

/** Sameness: work of the same stage that was committed earlier wins. @returns the largest overlap */
async function compareWithEarlier({ task, plan, update, judging }: Judged): Promise<number> {
  let most = 0;
  for (const bytes of await judging.earlier()) {
    try {
      const earlier = decodeStageWork(bytes);
      if (earlier.stage !== plan.stage) continue;
      const other = decodeUpdate(plan.specs, earlier.update, task.params.sparse);
      most = Math.max(most, overlapOf(plan.specs, update, other));
    } catch (error) {
      // Earlier work that cannot be read was refused for that; it proves nothing against this.
      if (!(error instanceof CodedError)) throw error;
    }
  }
  if (most >= COPIED) throw new Refused('copied', false, { overlap: most, limit: COPIED });
  return most;
}

/** What honest software never gets wrong. */
function openClaim(task: PipelineTask, plan: StagePlan, { work: bytes, amount, numbers }: Claim) {
  const work = orRefused(() => decodeStageWork(bytes));
  const update = orRefused(() => decodeUpdate(plan.specs, work.update, task.params.sparse));
  if (work.stage !== plan.stage) throw new Refused('another-stage', true);
  checkTranscript(task, plan, work);
  const tally = new Tally(task.params, plan);
  for (const entry of work.transcript) tally.add(entry);
  const told = tally.told();
  if (numbers.micro_batches !== told.numbers.micro_batches) throw new Refused('micro-batches-do-not-follow', true);
  if (numbers.steps !== told.numbers.steps) throw new Refused('steps-do-not-follow', true);
  if (amount !== told.amount) throw new Refused('amount-does-not-follow', true);
  if (plan.range.head && numbers.loss_micro !== told.numbers.loss_micro)
    throw new Refused('loss-does-not-follow', true);
  return { work, update };
}

const isBack = ({ kind }: Entry): boolean => kind === 'backward' || kind === 'learn';

/** A transcript that a worker of this stage can have: its own kinds of entries, each micro-batch once, and a step where one is due. */
function checkTranscript({ params, peer }: PipelineTask, { range }: StagePlan, { transcript }: StageWork): void {
  const [first, last] = [range.embedding, range.head];
  const fits = (entry: Entry): boolean => {
    if (entry.kind === 'learn') return last;
    if (entry.kind === 'forward') return !last && (entry.came === null) === first;
    return entry.kind === 'step' || (!last && (entry.went === null) === first);
  };
  if (!transcript.every(fits)) throw new Refused('entries-of-another-stage', true);
  const most = mostMade(params);
  const seen = new Set<string>();
  let pending = 0;
  let isOver = false;
  for (const entry of transcript) {
    if (isOver && isBack(entry)) throw new Refused('steps-do-not-follow', true);
    if (entry.kind === 'step') {
      if (pending === 0) throw new Refused('steps-do-not-follow', true);
      isOver = pending < params.micro_batches;
      pending = 0;
      continue;
    }
    if (isBack(entry) && ++pending > params.micro_batches) throw new Refused('steps-do-not-follow', true);
    if (entry.kind !== 'backward') {
      const { origin, number } = entry.of;
      if (number >= most || (first && origin !== peer)) throw new Refused('micro-batch-of-nobody', true);
    }
    if (seen.has(keyOf(entry))) throw new Refused('micro-batch-twice', true);
    seen.add(keyOf(entry));
  }
  if (pending > 0) throw new Refused('steps-do-not-follow', true);
}

/** A forward pass has one way back; else entries are told apart by their micro-batch and who sent it. */
function keyOf(entry: Exclude<Entry, { kind: 'step' }>): string {
  if (entry.kind === 'backward') return `back ${entry.forward}`;
  return `${entry.of.origin} ${entry.of.number} ${entry.came?.by ?? ''}`;
}
