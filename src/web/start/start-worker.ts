// The Worker that creates a run: tokenises the text, uploads it with the first model, and signs as the person of this browser.
import '../tab/no-eval.ts';
import { byteTokenizer } from '../../model/tokenizer.ts';
import { createRun } from '../../owner/owner.ts';
import { trainingFor } from '../../owner/run-settings.ts';
import { openOwnerKey } from '../tab/keys.ts';
import { openTabStore } from '../tab/store.ts';
import { modelOf } from './plan.ts';
import type { StartNews, StartOrder } from './start-messages.ts';

const say = (news: StartNews): void => postMessage(news);

async function start({ url, plan }: StartOrder): Promise<string> {
  const owner = await openOwnerKey(await openTabStore());
  const { training, schedule } = trainingFor(plan);
  return createRun(url, owner, '', {
    name: plan.name,
    texts: [plan.text],
    tokenizer: byteTokenizer(),
    model: modelOf(plan),
    seed: plan.seed,
    training,
    schedule,
    onProgress: (what) => say({ kind: 'progress', what }),
  });
}

addEventListener('message', ({ data }: MessageEvent<StartOrder>) => {
  start(data).then(
    (run) => say({ kind: 'created', run }),
    (error: unknown) => say({ kind: 'failed', message: error instanceof Error ? error.message : String(error) }),
  );
});
