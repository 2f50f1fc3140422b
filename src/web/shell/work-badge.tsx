// A few words in the frame while this tab works, so that nobody forgets that it does.
import { sentenceOf } from '../tab/state.ts';
import { atWork, isOver } from './at-work.ts';
import { Link } from './link.tsx';
import { useStore } from './store.ts';

export function WorkBadge() {
  const work = useStore(atWork);
  if (!work || isOver(work.state)) return null;
  return (
    <Link to={{ view: 'device', run: work.run }} class="work-badge">
      <span class={`dot ${work.state.phase}`} />
      <span class="work-words">{sentenceOf(work.state)}</span>
    </Link>
  );
}
