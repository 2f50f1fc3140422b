// How much of this device a tab may use, and when: set by its owner, stored in this browser, and effective at once.
import { useEffect, useState } from 'preact/hooks';
import { type Limits, readLimits, setLimits, watchLimits } from '../tab/limits.ts';
import { knowsCharging } from '../tab/surroundings.ts';

const DUTIES: readonly (readonly [percent: number, words: string])[] = [
  [100, 'all of the time'],
  [75, 'three quarters of the time'],
  [50, 'half of the time'],
  [25, 'a quarter of the time'],
  [10, 'a tenth of the time'],
];
const NIGHT = { from: 22, to: 7 };

export function LimitsBox({ working }: { working: boolean }) {
  const [limits, setShown] = useState(readLimits);
  useEffect(() => watchLimits(() => setShown(readLimits())), []);
  const set = (change: Partial<Limits>): void => setLimits({ ...limits, ...change });
  const cores = navigator.hardwareConcurrency || 1;
  return (
    <section class="limits" aria-labelledby="limits-title">
      <h2 id="limits-title">How much, and when</h2>
      <div class="limits-fields">
        <label>
          It works
          <select
            value={limits.duty_percent}
            onChange={(event) => set({ duty_percent: Number(event.currentTarget.value) })}
          >
            {DUTIES.map(([percent, words]) => (
              <option key={percent} value={percent}>
                {words}
              </option>
            ))}
          </select>
        </label>
        <label>
          Threads of the processor
          <select
            value={limits.threads ?? ''}
            onChange={(event) => set({ threads: Number(event.currentTarget.value) || null })}
          >
            <option value="">as many as are good for it</option>
            {Array.from({ length: cores }, (_, i) => (
              <option key={i} value={i + 1}>
                {i + 1} of {cores}
              </option>
            ))}
          </select>
        </label>
      </div>
      <p class="inline-fields">
        <label class="inline">
          <input
            type="checkbox"
            checked={limits.hours !== null}
            onChange={(event) => set({ hours: event.currentTarget.checked ? NIGHT : null })}
          />
          Only at some hours
        </label>
        {limits.hours && (
          <>
            <Hour name="from" value={limits.hours.from} onSet={(from) => set({ hours: { ...limits.hours!, from } })} />
            <Hour name="to" value={limits.hours.to} onSet={(to) => set({ hours: { ...limits.hours!, to } })} />
          </>
        )}
      </p>
      <label class="inline">
        <input
          type="checkbox"
          checked={limits.only_charging && knowsCharging()}
          disabled={!knowsCharging()}
          onChange={(event) => set({ only_charging: event.currentTarget.checked })}
        />
        Only while it charges{!knowsCharging() && ' (this browser does not say whether it does)'}
      </label>
      <p class="fine">
        Kept in this browser. A change counts at once
        {working ? '; another number of threads counts from the next start' : ''}.
      </p>
    </section>
  );
}

function Hour({ name, value, onSet }: { name: string; value: number; onSet: (hour: number) => void }) {
  return (
    <label class="inline">
      {name}
      <select
        aria-label={`Hours: ${name}`}
        value={value}
        onChange={(event) => onSet(Number(event.currentTarget.value))}
      >
        {Array.from({ length: 24 }, (_, hour) => (
          <option key={hour} value={hour}>
            {String(hour).padStart(2, '0')}:00
          </option>
        ))}
      </select>
    </label>
  );
}
