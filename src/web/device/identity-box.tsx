// Who earns by this browser: 24 words that stand for the person, to be shown, written down, and entered on another device.
import { useEffect, useState } from 'preact/hooks';
import { CodedError } from '../../errors.ts';
import { short } from '../shell/format.ts';
import { QrCodeLater } from '../shell/qr-code-later.tsx';
import { type KnownIdentity, readIdentity } from '../tab/known-identity.ts';
import type { ContributionState } from '../tab/state.ts';
import { canScan, Scanner } from './scanner.tsx';

const WORDS = 24;

/** The code that makes and reads keys, loaded only when somebody wants to see or enter words. */
const keys = () => import('../tab/keys.ts');

/** `work`: the state of the working tab; null while it does not work. */
export function IdentityBox({ work }: { work: ContributionState | null }) {
  const working = work !== null;
  const [kept, setIdentity] = useState<KnownIdentity | null>(null);
  const [phrase, setPhrase] = useState<string | null>(null);
  const [asked, setAsked] = useState(false);
  const [problem, setProblem] = useState('');
  const look = (): void =>
    void readIdentity().then(setIdentity, () => setProblem('The keys of this browser cannot be read.'));
  // A first contribution makes the keys a moment after it begins.
  useEffect(look, [working, work?.owner, work?.device]);
  const identity = work?.owner ? work : kept;
  const reveal = (): void => {
    setProblem('');
    keys()
      .then(({ exportIdentity }) => exportIdentity())
      .then(
        (exported) => {
          setPhrase(exported.phrase);
          setAsked(false);
          look();
        },
        () => setProblem('The key of this browser cannot be read.'),
      );
  };
  return (
    <section class="identity" aria-labelledby="identity-title">
      <h2 id="identity-title">Who earns it</h2>
      <p class="fine">
        {identity?.owner ? (
          <>
            You are <code>{short(identity.owner)}</code>
            {identity.device && (
              <>
                ; this browser is <code>{short(identity.device)}</code>
              </>
            )}
            . There is no account and no password: whoever has your 24 words is you.
          </>
        ) : (
          'Nobody yet. This browser makes a key when you first contribute.'
        )}
      </p>
      {identity?.temporary ? (
        <p class="note">
          This browser keeps nothing for this page: each visit has a key of its own that goes with the tab. Let it keep
          site data, or take part from a terminal, to earn for good.
        </p>
      ) : phrase === null && !asked ? (
        <p class="actions">
          <button type="button" onClick={() => setAsked(true)}>
            Show my 24 words
          </button>
        </p>
      ) : phrase === null ? (
        <div class="confirm">
          <p class="note">
            Whoever sees the words or a picture of them can take all that you earn. Is nobody looking over your
            shoulder, and is this screen not shared or recorded?
          </p>
          <p class="actions">
            <button type="button" onClick={reveal}>
              Nobody else sees it: show them
            </button>
            <button type="button" onClick={() => setAsked(false)}>
              Not now
            </button>
          </p>
        </div>
      ) : (
        <div class="phrase">
          <p class="note">
            Write them down and keep them; they are the only way to what you earn when this browser is lost. To carry
            them to another device, open this page there, choose “I have words from another device”, and scan the code
            with its scanner: a camera app may send away what it reads.
          </p>
          <ol>
            {phrase.split(' ').map((word, i) => (
              <li key={`${i} ${word}`}>{word}</li>
            ))}
          </ol>
          <details>
            <summary>As a code for the scanner of this page</summary>
            <QrCodeLater
              text={phrase}
              label="QR code of your 24 words"
              otherwise="The code could not be fetched from the hub. The words above say the same."
            />
          </details>
          <p class="actions">
            <button type="button" onClick={() => setPhrase(null)}>
              Hide them
            </button>
          </p>
        </div>
      )}
      {!identity?.temporary && <ImportForm working={working} onDone={look} />}
      {problem && <p class="note">{problem}</p>}
    </section>
  );
}

function ImportForm({ working, onDone }: { working: boolean; onDone: () => void }) {
  const [words, setWords] = useState('');
  const [said, setSaid] = useState('');
  const [scanning, setScanning] = useState(false);
  const read = (text: string): void => {
    setScanning(false);
    const words = text.trim().toLowerCase();
    if (words.split(/\s+/).length === WORDS) {
      setWords(words);
      setSaid(`${WORDS} words are read. Press the button to earn for their person.`);
    } else setSaid(`That code does not contain ${WORDS} words.`);
  };
  const take = (event: Event): void => {
    event.preventDefault();
    keys()
      .then(({ importIdentity }) => importIdentity(words))
      .then(
        (owner) => {
          setWords('');
          setSaid(`This browser earns for ${short(owner)} from now on.`);
          onDone();
        },
        (error: unknown) => setSaid(error instanceof CodedError ? error.message : 'This browser cannot keep a key.'),
      );
  };
  return (
    <details>
      <summary>I have words from another device</summary>
      <form onSubmit={take}>
        {scanning ? (
          <Scanner onRead={read} onClose={() => setScanning(false)} />
        ) : canScan() ? (
          <p class="actions">
            <button type="button" onClick={() => setScanning(true)}>
              Scan their code
            </button>
          </p>
        ) : (
          <p class="fine">This browser cannot scan a code inside the page: type the words.</p>
        )}
        <label>
          Your 24 words
          <textarea
            rows={3}
            value={words}
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => setWords(event.currentTarget.value)}
          />
        </label>
        <p class="actions">
          <button type="submit" disabled={working || words.trim() === ''}>
            Earn for this person
          </button>
          {working && <small>Stop this tab's work first.</small>}
        </p>
        <p class="fine" role="status">
          {said}
        </p>
      </form>
    </details>
  );
}
