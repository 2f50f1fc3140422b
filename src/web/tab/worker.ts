// The tab's Worker: takes part in a run off the page's thread, and reports to the page.
import './no-eval.ts';
import type { AskPage } from '../sandbox/sandbox-port.ts';
import { contribute, type TabAtWork } from './contribution.ts';
import type { FromTab, ToTab } from './messages.ts';

const tell = (message: FromTab, ...with_it: Transferable[]): void =>
  globalThis.postMessage(message, { transfer: with_it });
let sandboxes = 0;
const askPage: AskPage = (port) => {
  const sandbox = ++sandboxes;
  tell({ type: 'open-sandbox', sandbox, port }, port);
  return () => tell({ type: 'end-sandbox', sandbox });
};
let tab: TabAtWork | undefined;

globalThis.onmessage = ({ data }: MessageEvent<ToTab>) => {
  if (data.type === 'start') {
    tab = contribute(data, askPage, (state) => tell({ type: 'state', state }));
    void tab.ended.then(() => tell({ type: 'ended' }));
  } else if (data.type === 'surroundings') tab?.look(data);
  else if (data.type === 'answering') tab?.setAnswering(data);
  else tab?.stop();
};
