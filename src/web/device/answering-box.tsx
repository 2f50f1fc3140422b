// Whether this tab also answers callers of the hub's pool: its owner's consent, what that means, and how it goes.
import { useState } from 'preact/hooks';
import { factsOf } from '../pool/fleet-words.ts';
import { NO_POOL, useFleet } from '../pool/use-fleet.ts';
import type { AtWork } from '../shell/at-work.ts';
import { countOf } from '../shell/format.ts';
import { MOST_PLACES, readAnswering } from '../tab/answering.ts';
import type { AnsweringState } from '../tab/state.ts';

const PLACES = ['No', 'Yes, one at a time', 'Yes, two at a time'] as const;

export function AnsweringBox({ work: { contribution, state } }: { work: AtWork }) {
  const [agreed, setAgreed] = useState(readAnswering);
  const [where, setWhere] = useState(agreed.region ?? '');
  const fleet = useFleet(true);
  const row = fleet?.rows.find(({ device, places, writing }) => device === state.device && places + writing > 0);
  const set = (change: Partial<typeof agreed>): void => {
    const next = { ...agreed, ...change };
    setAgreed(next);
    contribution.setAnswering(next);
  };
  if (fleet === NO_POOL) return null; // nobody may ask this hub
  return (
    <section class="limits" aria-labelledby="answering-title">
      <h2 id="answering-title">Answering people</h2>
      <div class="limits-fields">
        <label>
          Also answer requests
          <select value={agreed.places} onChange={(event) => set({ places: Number(event.currentTarget.value) })}>
            {PLACES.slice(0, MOST_PLACES + 1).map((words, places) => (
              <option key={words} value={places}>
                {words}
              </option>
            ))}
          </select>
        </label>
        <label>
          Where it is, for callers nearby
          <input
            type="text"
            maxLength={40}
            placeholder="not said; for example eu-west, or de"
            value={where}
            onInput={(event) => {
              setWhere(event.currentTarget.value);
              set({ region: event.currentTarget.value.trim() || null });
            }}
          />
        </label>
      </div>
      {state.answering && agreed.places > 0 && <p role="status">{answeringWords(state.answering)}</p>}
      {row && <p class="fine">Measured by the hub: {factsOf(row).join(' · ')}.</p>}
      <p class="fine">
        This device then writes answers for people who ask this hub, and now and then checks another device's answer. It
        reads what they ask while it does, and so could you; it keeps nothing. Training waits while it answers. When you
        hide the tab, pause or stop, another device goes on in the middle of the sentence. The choice holds until this
        tab is closed.
      </p>
    </section>
  );
}

function answeringWords({ hidden, ready, writing, written }: AnsweringState): string {
  const so_far = written === 0 ? '' : ` ${countOf(written, 'answer')} written so far.`;
  if (hidden) return `Answers nobody while the tab is hidden.${so_far}`;
  if (writing > 0) return `Writes ${countOf(writing, 'answer')} now; training waits.${so_far}`;
  return (ready ? 'Ready to answer.' : 'Loading the model …') + so_far;
}
