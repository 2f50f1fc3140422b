// The preview of a shared link (ogp.me): a run's name and progress, as meta tags.

import { metricText } from '../protocol/measures.ts';
import type { RunStatus } from '../protocol/messages.ts';
import { PHASE_WORDS } from '../protocol/phase-words.ts';

/** The picture of a hub's card, made by scripts/card-picture.ts. Those of runs are drawn on request (card-routes.ts). */
export const CARD_PATH = '/card.png';

const HUB_ALT = 'A steaming pot, and the words: Potluck, devices that people already own train a model together.';

/** Escapes text for HTML, between tags and in quoted attributes. Names come from strangers. */
export function escapeHtml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (character) => entities[character]);
}

/** The meta tags of a run, or of a hub. `origin` has no slash at its end. */
export function cardOf(origin: string, run: RunStatus | null): string {
  const title = run ? `${run.name} · Potluck` : 'Potluck: devices that people already own train a model together';
  const tags: [string, string][] = [
    ['og:type', 'website'],
    ['og:site_name', 'Potluck'],
    ['og:title', title],
    ['og:description', run ? describe(run) : 'Watch it learn, lend a device, and check every number for yourself.'],
    // Sites cache a picture by its address, so each round has another address.
    ['og:image', run ? `${origin}/r/${run.run}/card.png?after=${run.round}` : `${origin}${CARD_PATH}`],
    ['og:image:type', 'image/png'],
    ['og:image:width', '1200'],
    ['og:image:height', '630'],
    [
      'og:image:alt',
      run ? `${run.metrics[0].words} of ${run.name}, round by round, and what its model wrote last.` : HUB_ALT,
    ],
    ['twitter:card', 'summary_large_image'],
    ['og:url', run ? `${origin}/r/${run.run}` : `${origin}/`],
  ];
  return tags
    .map(([property, content]) => `<meta property="${property}" content="${escapeHtml(content)}" />`)
    .join('\n    ');
}

function describe(run: RunStatus): string {
  const here = run.peers.filter((peer) => peer.present).length;
  const text = metricText(run.metrics[0]);
  const measured = text && `, ${text}`;
  const devices = here === 1 ? '1 device' : `${here} devices`;
  return `A model in training on devices that people already own: round ${run.round} of ${run.rounds} (${PHASE_WORDS[run.phase]}), ${devices} here${measured}. Open it to watch, or to lend yours.`;
}
