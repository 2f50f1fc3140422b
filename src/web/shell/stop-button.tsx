// Stops this tab's work from wherever one is.
import { atWork, isOver } from './at-work.ts';
import { useStore } from './store.ts';

/** Nothing where this tab does not work. */
export function StopButton({ class: style }: { class?: string }) {
  const work = useStore(atWork);
  if (!work || isOver(work.state)) return null;
  const stopping = work.state.phase === 'stopping';
  return (
    <button type="button" class={style} disabled={stopping} onClick={() => void work.contribution.stop()}>
      {stopping ? 'Handing in …' : 'Stop'}
    </button>
  );
}
