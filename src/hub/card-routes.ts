// Serves the picture of a run's preview card: drawn on request and cached.
import type { Context, Hono } from 'hono';
import type { RunHistory, RunStatus } from '../protocol/messages.ts';
import { drawCard } from './card-picture.ts';
import type { RateLimits } from './rate-limits.ts';
import type { Samples } from './samples.ts';

/** Drawing takes some 0.1 s of a core, so an outdated picture is served for this long before it is drawn again. */
const KEPT_MS = 30_000;
/** Some 25 kB each; the least recently requested one is dropped. */
const PICTURES = 64;

export interface CardServices {
  statuses(): RunStatus[];
  history(run: string): RunHistory;
  readonly samples: Pick<Samples, 'of'>;
  readonly rates: RateLimits;
}

interface Kept {
  /** The state of the run that the picture shows. */
  readonly shows: string;
  readonly drawn_ms: number;
  readonly picture: Promise<Uint8Array>;
}

/** Adds /r/RUN/card.png to an app. @param now_ms a clock that never goes back */
export function serveCards(
  app: Hono,
  hub: CardServices,
  addressOf: (c: Context) => string | null,
  now_ms: () => number = () => performance.now(),
): void {
  const kept = new Map<string, Kept>();
  const pictureOf = (run: RunStatus): Promise<Uint8Array> => {
    const sample = hub.samples.of(run.run).at(-1);
    const shows = [run.phase, run.round, run.metrics[0].last, sample?.merged_rounds].join(' ');
    let found = kept.get(run.run);
    if (!found || (found.shows !== shows && now_ms() - found.drawn_ms > KEPT_MS)) {
      const subject = { run, history: hub.history(run.run), sample: sample ? sample.prompt + sample.text : null };
      found = { shows, drawn_ms: now_ms(), picture: drawCard(subject) };
    }
    kept.delete(run.run);
    kept.set(run.run, found);
    if (kept.size > PICTURES) kept.delete(kept.keys().next().value!);
    return found.picture;
  };
  app.get('/r/:run/card.png', async (c) => {
    const run = hub.statuses().find(({ run: id }) => id === c.req.param('run'));
    if (!run) return c.notFound();
    hub.rates.take('card_address', addressOf(c));
    return c.body((await pictureOf(run)) as Uint8Array<ArrayBuffer>, 200, {
      'content-type': 'image/png',
      'cache-control': 'public, max-age=60',
      'cross-origin-resource-policy': 'cross-origin', // other sites are meant to show it
      'x-content-type-options': 'nosniff',
    });
  });
}
