// The hub's own address before it has a run: how to start the first, and which runs of other hubs its directory lists.
import { EmptyTable } from '../run/table.tsx';
import { CopyBox } from '../shell/copy-box.tsx';
import { Link } from '../shell/link.tsx';
import type { ViewProps } from '../shell/live.ts';
import { Elsewhere } from './elsewhere.tsx';

export function NoRuns({ live }: ViewProps) {
  return (
    <>
      <section class="empty">
        <h1>No run on this hub yet</h1>
        <p class="lead">
          In a run, many devices train one model. You bring a text; whoever opens the link brings a device.
        </p>
        <EmptyTable words="Each device will have its place here." />
        <p class="actions">
          <Link to={{ view: 'start' }} class="button primary large">
            Start a run
          </Link>
        </p>
        <p>Or start one from a terminal:</p>
        <CopyBox text={`npx potluck run create --hub ${location.origin} --data ./my-texts`} />
      </section>
      <Elsewhere live={live} />
    </>
  );
}
