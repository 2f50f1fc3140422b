// A few words in the frame while this tab works, as a reminder, with a button to stop it from every view.
import { sentenceOf } from '../tab/state.ts';
import { atWork, isOver } from './at-work.ts';
import { Link } from './link.tsx';
import type { Route } from './route.ts';
import { StopButton } from './stop-button.tsx';
import { useStore } from './store.ts';
import './frame.css';

/** Renders nothing where the tab does not work, or where its own view is open. */
export function WorkBadge({ here }: { here: Route }) {
  const work = useStore(atWork);
  if (!work || isOver(work.state)) return null;
  if (here.view === 'device' && here.run === work.run) return null;
  return (
    <aside class="work-badge" aria-label="This tab's work">
      <Link to={{ view: 'device', run: work.run }}>
        <span class={`dot ${work.state.phase}`} />
        <span class="work-words">{sentenceOf(work.state)}</span>
      </Link>
      <StopButton class="text" />
    </aside>
  );
}
