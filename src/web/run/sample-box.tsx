// What the present model writes, as a validator says: it begins the same each time, so that what changes is what it has learned.
import type { SampleView } from '../../protocol/messages.ts';
import { formatWhole, nameOf, short, textOf } from '../shell/format.ts';
import type { LiveRun } from '../shell/live.ts';

export function SampleBox({ run }: { run: LiveRun }) {
  const newest = run.samples.at(-1);
  if (!newest) return null;
  const earlier = run.samples.slice(0, -1).reverse();
  return (
    <section class="sample" aria-labelledby="sample-title">
      <h2 id="sample-title">What it writes</h2>
      <Sample sample={newest} run={run} />
      {earlier.length > 0 && (
        <details>
          <summary>What it wrote before</summary>
          {earlier.map((sample) => (
            <Sample key={sample.model} sample={sample} run={run} />
          ))}
        </details>
      )}
    </section>
  );
}

function Sample({ sample, run }: { sample: SampleView; run: LiveRun }) {
  const { by, merged_rounds, prompt, text } = sample;
  const name = run.peers.get(by)?.name;
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard */}
      <pre tabIndex={0}>
        <span class="given">{textOf(prompt)}</span>
        {textOf(text)}
      </pre>
      <p class="fine">
        After {formatWhole(merged_rounds)} {merged_rounds === 1 ? 'round' : 'rounds'}; the grey beginning is from text
        that nobody trains on. So says validator {name === undefined ? '' : `${nameOf(name)} `}
        <code>{short(by)}</code>; no log proves it.
      </p>
    </>
  );
}
