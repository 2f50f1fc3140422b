// The invariants of stages: every present worker of a run whose model is cut holds one, no stage is empty while another has a spare worker.
import type { RunState } from '../state.ts';

const short = (id: string): string => id.slice(0, 8);

export function* stageProblems(run: RunState): Generator<string, void> {
  const stages = run.spec.stages ?? 0;
  const workers = Array.from({ length: stages }, () => 0);
  for (const { id, role, present, stage } of run.peers.values()) {
    if (stage === null) {
      if (stages > 0 && present && role === 'worker') yield `${short(id)} holds no stage`;
      continue;
    }
    if (!(stage in workers) || role !== 'worker') yield `${short(id)}, a ${role}, holds stage ${stage} of ${stages}`;
    if (present) workers[stage]++;
  }
  const counted = workers.join(', ');
  if (run.stage_workers.join(', ') !== counted) yield `stages have ${run.stage_workers.join(', ')}, not ${counted}`;
  if (workers.includes(0) && workers.some((held) => held > 1)) yield `a stage is empty, they have ${counted}`;
}

/** What must hold when a round has opened. */
export function* openedStageProblems({ stage_workers }: RunState): Generator<string, void> {
  if (stage_workers.includes(0)) yield 'a round opened with an empty stage';
  if (Math.max(...stage_workers) - Math.min(...stage_workers) > 1) yield `stages open with ${stage_workers.join(', ')}`;
}
