// A text that a model has written, with the beginning, the settings and the model that it came from.
import { formatCount, short } from '../shell/format.ts';
import { CopyButton } from './copy-button.tsx';
import { type LoadedModel, THIS_BROWSER } from './play-messages.ts';
import { type PlaySession, sentencesOf, type WrittenText } from './session.ts';

/** The newest text; where two were asked for together, beside each other. */
export function NewestTexts(props: {
  texts: readonly WrittenText[];
  busy: boolean;
  onContinue: (text: WrittenText) => void;
}) {
  const { texts, busy, onContinue } = props;
  return (
    <div class={texts.length > 1 ? 'beside' : undefined}>
      {texts.map((text) => (
        <NewestText key={text.number} text={text} busy={busy} onContinue={() => onContinue(text)} />
      ))}
    </div>
  );
}

/** A text as a prompt for what is to follow it. */
export const wholeOf = ({ order, text }: WrittenText): string => order.prompt + text;

function NewestText(props: { text: WrittenText; busy: boolean; onContinue: () => void }) {
  const { text, busy, onContinue } = props;
  return (
    <section aria-label="What the model wrote">
      <Quotation text={text} />
      {text.state !== 'waiting' && <Origin text={text} />}
      {!busy && text.text !== '' && (
        <p class="actions">
          <CopyButton text={wholeOf(text)} />
          <button type="button" onClick={onContinue}>
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
      {order.writer !== THIS_BROWSER && `, written by the pool: ${order.writer}`}.
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
            <summary>{wholeOf(text).replace(/\s+/g, ' ').slice(0, 120)}</summary>
            <Quotation text={text} />
            <Origin text={text} />
            <p class="actions">
              <CopyButton text={wholeOf(text)} />
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

const rounds = (count: number): string => `${count} ${count === 1 ? 'round' : 'rounds'}`;
