// The tab at work: what it does now, how fast, why it does not where it does not, and how to stop it.
import { inUnit, valueText } from '../../protocol/measures.ts';
import { type AtWork, isOver } from '../shell/at-work.ts';
import { capital, formatCount, formatWhole, nameOf } from '../shell/format.ts';
import { StopButton } from '../shell/stop-button.tsx';
import { isStopping, type PauseReason, sentenceOf, slowdownOf } from '../tab/state.ts';
import { TransferBar } from './transfer-bar.tsx';

const OVERRULE: Readonly<Record<Exclude<PauseReason, 'owner'>, string>> = {
  'battery-low': 'Work although the battery is low',
  metered: 'Work although this connection is metered',
  hours: 'Work although it is another hour',
  'not-charging': 'Work although it is not charging',
};

export function WorkPanel({ work: { contribution, state } }: { work: AtWork }) {
  const { phase, runtime, pauses } = state;
  const over = isOver(state);
  const unit = nameOf(state.run?.unit ?? 'pieces');
  const accepted = state.handed_in.filter(({ outcome }) => outcome === 'merged').length;
  return (
    <section class="work" aria-labelledby="work-title">
      <h2 id="work-title" class="work-state">
        <span class={`dot ${phase}`} /> <span role="status">{capital(sentenceOf(state))}</span>
      </h2>
      <dl class="figures">
        <div class="hero">
          <dt>Speed</dt>
          <dd class={phase === 'working' ? undefined : 'none'}>
            {phase === 'working' ? formatCount(state.amount_per_second) : '–'}
            <small>{unit} a second</small>
          </dd>
        </div>
        <div>
          <dt>This round</dt>
          <dd>
            {formatCount(state.amount)}
            <small>{state.round === null ? unit : `${unit} of round ${state.round}`}</small>
          </dd>
        </div>
        {state.run?.numbers.work.map(({ name, words, unit: of }) => (
          <div key={name}>
            <dt>{capital(nameOf(words))}</dt>
            <dd>
              {name in state.numbers ? valueText(name, inUnit(name, state.numbers[name])) : '–'}
              <small>{nameOf(of)}</small>
            </dd>
          </div>
        ))}
        <div>
          <dt>Handed in</dt>
          <dd>
            {formatWhole(state.handed_in.length)}
            <small>{formatWhole(accepted)} in the model</small>
          </dd>
        </div>
      </dl>
      {runtime && (
        <p class="fine">
          Computes on{' '}
          {runtime.class === 'webgpu'
            ? 'the GPU (WebGPU)'
            : `the CPU (WASM, ${runtime.threads} ${runtime.threads === 1 ? 'thread' : 'threads'})`}
          : {runtime.why}.{!crossOriginIsolated && ' Threads need https or localhost; over plain http there is one.'}
        </p>
      )}
      {(phase === 'working' ? state.slowdowns : []).map((slowdown) => (
        <p key={slowdown.kind} class="note">
          {capital(slowdownOf(slowdown))}.
        </p>
      ))}
      {!over && <TransferBar {...state} />}
      {state.problem && !over && <p class="note">{capital(state.problem.message)}. The tab goes on.</p>}
      {state.temporary && (
        <p class="note">This browser keeps nothing for this page: the key and what it earns are gone with the tab.</p>
      )}
      {!over && (
        <p class="actions">
          {isStopping(phase) ? null : pauses.includes('owner') ? (
            <button type="button" onClick={() => contribution.resume()}>
              Go on
            </button>
          ) : (
            <button type="button" onClick={() => contribution.pause()}>
              Pause
            </button>
          )}
          {pauses
            .filter((reason) => reason !== 'owner')
            .map((reason) => (
              <button key={reason} type="button" onClick={() => contribution.overrule(reason)}>
                {OVERRULE[reason]}
              </button>
            ))}
          <StopButton />
        </p>
      )}
    </section>
  );
}
