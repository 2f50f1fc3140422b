// A real network for `bench page`: the hub that serves the built page, validators and workers, each a process of its own.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Child, startChild } from '../../cli/children.ts';
import { isPageStale, PAGE_FOLDER } from '../../cli/page.ts';
import { createRun } from '../../owner/owner.ts';
import { type Essentials, trainingFor } from '../../owner/run-settings.ts';
import { observeHub } from '../../peer/hub-observer.ts';
import { createIdentity } from '../../protocol/identity.ts';
import type { RunStatus } from '../../protocol/messages.ts';
import { readTexts } from '../../training/corpus.ts';
import { defaultCorpus } from '../../training/corpus-default.ts';
import { characterTokenizer } from '../characters.ts';
import { LEARNING_RATE, shapeOf, WORKLOADS } from '../compute-workload.ts';
import { BenchError } from '../errors.ts';
import { startHub } from '../hub-process.ts';

/** Inner steps of a round, the default of `potluck run create`. */
export const INNER_STEPS = 30;

export interface PageNetwork {
  readonly url: string;
  /** Deleted when the network is closed. */
  readonly folder: string;
  /** Creates a run of config (a) of `bench compute`; resolves with its id. */
  createRun(
    name: string,
    settings: Pick<Essentials, 'rounds' | 'round_seconds' | 'steps' | 'min_workers'>,
    training?: Record<string, unknown>,
  ): Promise<string>;
  /** Starts a worker, or with `--role validator` a validator. It ends with its run, or with the network. */
  join(run: string, name: string, ...flags: string[]): Child;
  /** Resolves with the first status of a run that fits. */
  until(run: string, fits: (status: RunStatus) => boolean): Promise<RunStatus>;
  close(): Promise<void>;
}

const BUILD = join(import.meta.dirname, '..', '..', 'web', 'build.ts');

/** Builds the page if it is older than its sources, and starts a hub. @param data text; null: what npm has installed */
export async function startPageNetwork(data: string | null): Promise<PageNetwork> {
  if (isPageStale()) {
    const built = spawnSync(process.execPath, [BUILD, PAGE_FOLDER], { encoding: 'utf8' });
    if (built.status !== 0) throw new BenchError('engine-failed', `the page could not be built: ${built.stderr}`);
  }
  const folder = mkdtempSync(join(tmpdir(), 'potluck-bench-'));
  const peers: Child[] = [];
  const { child: hub, listening } = startHub(folder, '--log-level', 'error');
  const { url } = await listening;
  const { context, batch } = WORKLOADS.small;
  return {
    url,
    folder,
    createRun(name, settings, more = {}) {
      const { training, schedule } = trainingFor({ ...settings, batch, context, learning_rate: LEARNING_RATE });
      return createRun(url, createIdentity(), join(folder, 'owner'), {
        name,
        texts: data ? readTexts(data) : defaultCorpus(),
        tokenizer: characterTokenizer(),
        model: shapeOf(WORKLOADS.small),
        seed: 'bench',
        training: { ...training, ...more },
        schedule,
      });
    },
    join(run, name, ...flags) {
      const args = ['join', url, '--run', run, '--name', name, '--folder', join(folder, `${run.slice(0, 8)}-${name}`)];
      const child = startChild({ args: [...args, ...flags], restart_ms: null, onLine: () => {}, onDeath: () => {} });
      peers.push(child);
      return child;
    },
    until: (run, fits) =>
      new Promise((resolve) => {
        const observer = observeHub(url, (runs) => {
          const status = runs.find((candidate) => candidate.run === run);
          if (!status || !fits(status)) return;
          observer.close();
          resolve(status);
        });
      }),
    async close() {
      await Promise.all(peers.map((peer) => peer.stop()));
      await hub.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
