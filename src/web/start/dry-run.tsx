// What a plan would mean, before anything is sent.
import { formatCount, formatDuration, formatWhole } from '../shell/format.ts';
import { forecast, type Plan, type Working } from './plan.ts';

/** `plan` is null while a number of the form is invalid; `waiting` workers are present and have not trained yet. */
export function DryRun(props: { plan: Plan | null; devices: readonly Working[]; waiting: number }) {
  const { plan, devices, waiting } = props;
  return (
    <section class="dry-run" aria-labelledby="dry-title" aria-live="polite">
      <h2 id="dry-title">What this means</h2>
      {plan ? <Meaning plan={plan} devices={devices} waiting={waiting} /> : <p>One of the numbers is out of range.</p>}
    </section>
  );
}

function Meaning({ plan, devices, waiting }: { plan: Plan; devices: readonly Working[]; waiting: number }) {
  const { parameters, tokens_a_round, most_ms, expected_ms, slowest_steps } = forecast(plan, devices);
  const bytes = new Blob([plan.text]).size;
  const unknown =
    waiting > 0
      ? 'No device here has reported its speed yet.'
      : 'No device is at work on this hub, so there is no speed to go by.';
  return (
    <>
      <p>
        <b>{formatCount(parameters)} parameters</b>; a device that finishes a round learns from{' '}
        {formatCount(tokens_a_round)} tokens.
        {bytes > 0 &&
          ` The text has ${formatCount(bytes)}; one device reads it ${timesOf((tokens_a_round * plan.rounds) / bytes)}.`}
      </p>
      <p>
        {expected_ms === null
          ? `${unknown} It takes at most ${formatDuration(most_ms)} of training.`
          : `With the ${devices.length === 1 ? 'device' : `${devices.length} devices`} at work here now, about ${formatDuration(expected_ms)} of training; at most ${formatDuration(most_ms)}.`}
        {slowest_steps !== null &&
          slowest_steps < plan.steps &&
          ` The slowest gets ${slowest_steps} of ${plan.steps} steps done in a round.`}
      </p>
    </>
  );
}

const timesOf = (value: number): string => `${value < 10 ? value.toFixed(1) : formatWhole(Math.round(value))} times`;
