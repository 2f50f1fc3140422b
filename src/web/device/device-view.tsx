// This device: whether it works, for which run, with what results, and who earns by it.

import { atWork, isOver } from '../shell/at-work.ts';
import { LazyView, loadView } from '../shell/lazy-view.tsx';
import { Link } from '../shell/link.tsx';
import type { ViewProps } from '../shell/live.ts';
import { useStore } from '../shell/store.ts';
import { FIRST_STATE } from '../tab/state.ts';
import { Earnings } from './earnings.tsx';
import { HandedInList } from './handed-in-list.tsx';
import { IdentityBox } from './identity-box.tsx';
import { Invitation } from './invitation.tsx';
import { LimitsBox } from './limits-box.tsx';
import { NoticesBox } from './notices-box.tsx';
import { WorkPanel } from './work-panel.tsx';
import './device.css';

const answeringBox = loadView(() => import('./answering-box.tsx'), 'AnsweringBox');

export function DeviceView({ live, run }: ViewProps & { run: string }) {
  const work = useStore(atWork);
  const working = work !== null && !isOver(work.state);
  const overview = live.runs.get(run)?.overview;
  return (
    <article class="device">
      <div class="headline">
        <h1>My device</h1>
      </div>
      <div class="device-main">
        {work && <WorkPanel work={work} />}
        {working && <LazyView connection={live.connection} load={answeringBox} props={{ work }} />}
        {!working && overview && <Invitation overview={overview} again={work !== null} />}
        {!overview && !work && (
          <p class="loading">{live.connection === 'live' ? 'This hub has no such run.' : 'Asking the hub …'}</p>
        )}
        <Earnings hub={live.hub} run={run} owner={work?.state.owner ?? null} round={overview?.round ?? 0} />
        <HandedInList run={run} state={work?.state ?? FIRST_STATE} hub={live.hub} begun={work !== null} />
      </div>
      <div class="device-side">
        {overview && <LimitsBox working={working} />}
        {overview && overview.phase !== 'finished' && <NoticesBox run={run} />}
        <p class="fine">
          <Link to={{ view: 'devices' }}>All your devices</Link>: what each does, and what it may.
        </p>
        <IdentityBox work={working ? work.state : null} />
      </div>
    </article>
  );
}
