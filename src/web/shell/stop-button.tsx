// Stops this tab's work from any view: it first submits what is done; a second press does not wait for that.
import { isStopping } from '../tab/state.ts';
import { atWork, isOver } from './at-work.ts';
import { useStore } from './store.ts';

/** Renders nothing where this tab does not work. */
export function StopButton({ class: style }: { class?: string }) {
  const work = useStore(atWork);
  if (!work || isOver(work.state)) return null;
  const { contribution, state } = work;
  const stopping = isStopping(state.phase);
  return (
    <button type="button" class={style} onClick={() => (stopping ? contribution.drop() : void contribution.stop())}>
      {stopping ? 'Drop it and stop now' : 'Stop'}
    </button>
  );
}
