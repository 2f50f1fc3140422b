// This device: whether it works, what for, what became of it, and who earns it.

import type { ViewProps } from '../app.tsx';
import { atWork, isOver } from '../shell/at-work.ts';
import { useStore } from '../shell/store.ts';
import { Earnings } from './earnings.tsx';
import { HandedInList } from './handed-in-list.tsx';
import { IdentityBox } from './identity-box.tsx';
import { Invitation } from './invitation.tsx';
import { WorkPanel } from './work-panel.tsx';
import './device.css';

export function DeviceView({ live, run }: ViewProps & { run: string }) {
  const work = useStore(atWork);
  const working = work !== null && !isOver(work.state);
  const overview = live.runs.get(run)?.overview;
  return (
    <article class="device">
      <div class="headline">
        <h1>My device</h1>
      </div>
      {work && <WorkPanel work={work} />}
      {!working && overview && <Invitation overview={overview} again={work !== null} />}
      {!overview && !work && (
        <p class="loading">{live.connection === 'live' ? 'This hub has no such run.' : 'Asking the hub …'}</p>
      )}
      {work && <HandedInList state={work.state} hub={live.hub} />}
      <Earnings hub={live.hub} run={run} owner={work?.state.owner ?? null} />
      <IdentityBox work={working ? work.state : null} />
    </article>
  );
}
