// The tab's Worker: takes part in a run beside the page, and reports to it.
import './no-eval.ts';
import { contribute, type TabAtWork } from './contribution.ts';
import type { FromTab, ToTab } from './messages.ts';

const tell = (message: FromTab): void => globalThis.postMessage(message);
let tab: TabAtWork | undefined;

globalThis.onmessage = ({ data }: MessageEvent<ToTab>) => {
  if (data.type === 'start') {
    tab = contribute(data, (state) => tell({ type: 'state', state }));
    void tab.ended.then(() => tell({ type: 'ended' }));
  } else if (data.type === 'surroundings') tab?.look(data);
  else tab?.stop();
};
