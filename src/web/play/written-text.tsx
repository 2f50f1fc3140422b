// A text that a model has written, with the beginning, the settings and the model that it came from.
import { useState } from 'preact/hooks';
import { formatCount, short } from '../shell/format.ts';
import type { LoadedModel } from './play-messages.ts';
import { type PlaySession, sentencesOf, type WrittenText } from './session.ts';

export function NewestText(props: { text: WrittenText; busy: boolean; onContinue: (prompt: string) => void }) {
  const { text, busy, onContinue } = props;
  const whole = text.order.prompt + text.text;
  return (
    <section aria-label="What the model wrote">
      <Quotation text={text} />
      {text.state !== 'waiting' && <Origin text={text} />}
      {!busy && text.text !== '' && (
        <p class="actions">
          <CopyButton text={whole} />
          <button type="button" onClick={() => onContinue(whole)}>
            Go on from here
          </button>
        </p>
      )}
    </section>
  );
}

function Quotation({ text: { order, text, state } }: { text: WrittenText }) {
  if (state === 'waiting' && text === '') return null;
  return (
    <blockquote class="written" aria-live="off" aria-busy={state === 'writing'}>
      <span class="prompted">{order.prompt}</span>
      {text}
      {state === 'writing' && <span class="caret" />}
    </blockquote>
  );
}

/** How it ended, and its inputs: with them anybody gets the same text. */
function Origin({ text }: { text: WrittenText }) {
  const { order, model, state } = text;
  return (
    <p class="fine" role={state === 'writing' ? undefined : 'status'}>
      {sentencesOf(text).join(' ')} Seed {order.seed}, temperature {order.temperature.toFixed(1)}, top-p{' '}
      {order.top_p.toFixed(2)}
      {model && (
        <>
          , model <code>{short(model.hash)}</code> after {rounds(model.merged_rounds)}
        </>
      )}
      .
    </p>
  );
}

export function EarlierTexts({ texts }: { texts: readonly WrittenText[] }) {
  if (texts.length === 0) return null;
  return (
    <section aria-labelledby="earlier-title">
      <div class="section-head">
        <h2 id="earlier-title">Before that</h2>
      </div>
      <div class="earlier">
        {texts.map((text) => (
          <details key={text.number}>
            <summary>{(text.order.prompt + text.text).replace(/\s+/g, ' ').slice(0, 120)}</summary>
            <Quotation text={text} />
            <Origin text={text} />
            <p class="actions">
              <CopyButton text={text.order.prompt + text.text} />
            </p>
          </details>
        ))}
      </div>
    </section>
  );
}

export function AboutModel(props: { session: PlaySession; model: LoadedModel; newest: string | null; here: boolean }) {
  const { session, model, newest, here } = props;
  const { tokens_per_second: speed } = session;
  return (
    <p class="fine">
      The loaded model is <code>{short(model.hash)}</code> after {rounds(model.merged_rounds)}:{' '}
      {formatCount(model.parameters)} parameters in {model.layers} {model.layers === 1 ? 'layer' : 'layers'},{' '}
      {model.context} tokens of context, on {model.threads} {model.threads === 1 ? 'thread' : 'threads'}
      {speed !== null && `, ${speed.toFixed(0)} tokens a second here`}.
      {newest !== null &&
        newest !== model.hash &&
        (here
          ? ' There is a newer one: the next text is written with it.'
          : ' The run has a newer one; it comes when the hub is back.')}
    </p>
  );
}

function CopyButton({ text }: { text: string }) {
  const [said, setSaid] = useState('');
  const copy = (): void => {
    Promise.resolve(navigator.clipboard?.writeText(text) ?? Promise.reject(new Error('no clipboard'))).then(
      () => setSaid('Copied'),
      () => setSaid('This browser does not let the page copy: select the text'),
    );
  };
  return (
    <button type="button" onClick={copy}>
      <span role="status">{said || 'Copy'}</span>
    </button>
  );
}

const rounds = (count: number): string => `${count} ${count === 1 ? 'round' : 'rounds'}`;
