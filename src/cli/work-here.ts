// Tells the keeper what one device of this process is at, from what the device says.
import type { PeerNews } from '../peer/role.ts';
import type { WorkHere } from './device-worker.ts';
import type { RunPart } from './join-runs.ts';

/** Joins a run and tells what the device is at meanwhile. */
export async function tellingWork(
  part: RunPart,
  join: (part: RunPart) => Promise<'finished' | 'left'>,
  tell: (work: WorkHere) => void,
): Promise<'finished' | 'left'> {
  const { url, folder } = part;
  let work: WorkHere = { url, folder, run: null, doing: null, speed: null, over: false };
  let unit = '';
  const change = (more: Partial<WorkHere>): void => {
    work = { ...work, ...more };
    tell(work);
  };
  const onNews = (news: PeerNews): void => {
    if (news.type === 'joined') {
      unit = news.unit;
      change({ run: news.run, peer: news.peer });
    }
    if (news.type === 'accepted') tell({ ...work, handed_in: { round: news.round, units: news.amount } });
    if (news.type === 'judged') tell({ ...work, handed_in: { round: news.round, units: 1 } });
    if (news.type === 'progress') {
      const { state, amount_per_second } = news.progress;
      change({ doing: state, speed: state === 'working' ? { amount_per_second, unit } : null });
    }
    part.onNews?.(news);
  };
  const how = await join({ ...part, onNews });
  if (how === 'finished') change({ doing: null, over: true });
  return how;
}
