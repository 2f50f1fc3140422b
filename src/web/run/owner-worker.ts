// The Worker that signs for a run's owner, whose key is in this browser: pause, resume, end.
import '../tab/no-eval.ts';
import { sayOfRun } from '../../owner/run-life.ts';
import { openOwnerKey } from '../tab/keys.ts';
import { openTabStore } from '../tab/store.ts';
import type { OwnerNews, OwnerOrder } from './owner-messages.ts';

const say = (news: OwnerNews): void => postMessage(news);

addEventListener('message', ({ data: { url, run, word } }: MessageEvent<OwnerOrder>) => {
  const said = async () => sayOfRun(url, await openOwnerKey(await openTabStore()), run, word);
  said().then(
    ({ merges_first }) => say({ kind: 'said', merges_first }),
    (error: unknown) => say({ kind: 'failed', message: error instanceof Error ? error.message : String(error) }),
  );
});
