// The devices at work on this hub, with the size of the model that they train: the basis of a forecast.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { z } from 'zod';
import type { Live } from '../shell/live.ts';
import { knownSpeeds } from '../shell/speeds.ts';
import { parametersOf, type Working } from './plan.ts';

/** The part of a run's settings that determines its model's size. */
const SettingsSchema = z.object({
  model: z.custom<Parameters<typeof parametersOf>[0]>((value) => typeof value === 'object'),
});

/** Devices that trained a moment ago and are still present. Runs with unreadable settings do not count. */
export function useDevices(live: Live): readonly Working[] {
  const [sizes, setSizes] = useState<ReadonlyMap<string, number>>(new Map());
  const measured = [...live.runs.values()].filter(({ speeds }) => speeds.size > 0);
  const wanted = measured.map(({ overview }) => overview.params).join(' ');
  useEffect(() => {
    for (const params of wanted.split(' ').filter((hash) => hash !== '' && !sizes.has(hash))) {
      fetch(`/blobs/${params}`)
        .then(async (response) => parametersOf(SettingsSchema.parse(await response.json()).model))
        .then((parameters) => setSizes((before) => new Map([...before, [params, parameters]])))
        .catch(() => {}); // the run is of another game, or the hub is unreachable
    }
  }, [wanted]);
  return useMemo(
    () =>
      measured.flatMap(({ overview, speeds }) => {
        const parameters = sizes.get(overview.params);
        if (parameters === undefined) return [];
        return knownSpeeds(speeds, performance.now()).map((tokens_per_second) => ({ parameters, tokens_per_second }));
      }),
    [live.version, sizes],
  );
}
