// The invariants of stages: every present worker of a run whose model is cut holds one, no stage is empty while another has a spare worker that
// may hold it, and where stages are kept apart no account is given all of them.
import { accountOf, type NetworkState, type RunState } from '../state.ts';
import { mayHoldNow, rememberedRounds } from './held-stages.ts';

const short = (id: string): string => id.slice(0, 8);

export function* stageProblems(state: NetworkState, run: RunState): Generator<string, void> {
  const stages = run.spec.stages ?? 0;
  const workers = Array.from({ length: stages }, () => 0);
  for (const { id, role, present, stage, held } of run.peers.values()) {
    for (const [one, round] of held) {
      if (!(one in workers)) yield `${short(id)} has held stage ${one} of ${stages}`;
      if (round > run.round || run.round - round >= rememberedRounds(run))
        yield `${short(id)} is remembered to have held stage ${one} in round ${round}`;
    }
    if (stage === null) {
      if (stages > 0 && present && role === 'worker') yield `${short(id)} holds no stage`;
      continue;
    }
    if (!(stage in workers) || role !== 'worker') yield `${short(id)}, a ${role}, holds stage ${stage} of ${stages}`;
    if (!present) continue;
    workers[stage]++;
    if (held.get(stage) !== run.round) yield `${short(id)} holds stage ${stage}, and nobody remembers it`;
  }
  const counted = workers.join(', ');
  if (run.stage_workers.join(', ') !== counted) yield `stages have ${run.stage_workers.join(', ')}, not ${counted}`;
  for (const [stage, here] of workers.entries()) {
    if (here === 0 && canBeSpared(state, run, stage)) yield `stage ${stage} is empty, they have ${counted}`;
  }
}

/** Whether somebody may hold a stage whose own has two workers more. */
function canBeSpared(state: NetworkState, run: RunState, to: number): boolean {
  const workers = run.stage_workers;
  if (Math.max(...workers) < workers[to] + 2) return false;
  const mayHold = mayHoldNow(state, run);
  return [...run.peers.values()].some(
    (peer) => peer.present && peer.role === 'worker' && workers[peer.stage!] >= workers[to] + 2 && mayHold(peer, to),
  );
}

/** What must hold when a round has opened. */
export function* openedStageProblems(state: NetworkState, run: RunState): Generator<string, void> {
  const { stage_workers } = run;
  if (stage_workers.includes(0)) yield 'a round opened with an empty stage';
  if ([...stage_workers.keys()].some((stage) => canBeSpared(state, run, stage)))
    yield `stages open with ${stage_workers.join(', ')}`;
}

/**
 * The accounts, without the owner's, that have held all stages of a run that keeps them apart. There are some only where devices that had
 * held them were bound to one account afterwards.
 */
export function haveHeldAll(state: NetworkState, run: RunState): readonly string[] {
  const { stages = 0, apart_rounds } = run.spec;
  if (apart_rounds === undefined) return [];
  const missing = new Map<string, Set<number>>();
  for (const { id, held } of run.peers.values()) {
    if (held.size === 0) continue;
    const account = accountOf(state, id);
    const lacks = missing.get(account) ?? new Set(Array.from({ length: stages }, (_, stage) => stage));
    for (const stage of held.keys()) lacks.delete(stage);
    missing.set(account, lacks);
  }
  return [...missing].flatMap(([account, { size }]) =>
    size === 0 && account !== accountOf(state, run.owner) ? [account] : [],
  );
}
