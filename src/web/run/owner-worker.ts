// The Worker that signs for a run's owner, whose key is in this browser: pause, resume, end.
import '../tab/no-eval.ts';
import { sayOfRun } from '../../peer/run-life.ts';
import { openOwnerKey } from '../tab/keys.ts';
import { openTabStore } from '../tab/store.ts';
import type { OwnerNews, OwnerOrder } from './owner-messages.ts';

const say = (news: OwnerNews): void => postMessage(news);

addEventListener('message', ({ data: { url, run, word } }: MessageEvent<OwnerOrder>) => {
  const said = async (): Promise<void> => {
    await sayOfRun(url, await openOwnerKey(await openTabStore()), run, word);
  };
  said().then(
    () => say({ kind: 'said' }),
    (error: unknown) => say({ kind: 'failed', message: error instanceof Error ? error.message : String(error) }),
  );
});
