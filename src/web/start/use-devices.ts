// Who is at work on this hub, with the size of the model that they train: what a forecast measures by.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { z } from 'zod';
import type { Live } from '../shell/live.ts';
import { parametersOf, type Working } from './plan.ts';

/** The part of a run's settings that says how large its model is; whatever else is in there does not matter here. */
const SettingsSchema = z.object({
  model: z.custom<Parameters<typeof parametersOf>[0]>((value) => typeof value === 'object'),
});

/** Devices that train now, wherever on this hub. Runs whose settings cannot be read do not count. */
export function useDevices(live: Live): readonly Working[] {
  const [sizes, setSizes] = useState<ReadonlyMap<string, number>>(new Map());
  const training = [...live.runs.values()].filter(({ overview }) => overview.phase === 'working');
  const wanted = training.map(({ overview }) => overview.params).join(' ');
  useEffect(() => {
    for (const params of wanted.split(' ').filter((hash) => hash !== '' && !sizes.has(hash))) {
      fetch(`/blobs/${params}`)
        .then(async (response) => parametersOf(SettingsSchema.parse(await response.json()).model))
        .then((parameters) => setSizes((before) => new Map([...before, [params, parameters]])))
        .catch(() => {}); // another game, or a hub that is away
    }
  }, [wanted]);
  return useMemo(
    () =>
      training.flatMap(({ overview, peers }) => {
        const parameters = sizes.get(overview.params);
        if (parameters === undefined) return [];
        return [...peers.values()]
          .filter((peer) => peer.present && peer.progress?.state === 'training' && peer.progress.tokens_per_second > 0)
          .map((peer) => ({ parameters, tokens_per_second: peer.progress!.tokens_per_second }));
      }),
    [live.version, sizes],
  );
}
