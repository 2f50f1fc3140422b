// What lending this tab means, and the one button that starts it. No code that computes is downloaded before.

import { useState } from 'preact/hooks';
import { isOfThisBuild } from '../../games/registry.ts';
import { trainsOnText } from '../../games/text-training.ts';
import type { RunOverview } from '../../protocol/messages.ts';
import { begin } from '../shell/at-work.ts';
import { CopyBox } from '../shell/copy-box.tsx';
import { capital, formatBytes, formatTime, nameOf } from '../shell/format.ts';
import { lastAtWork, noteWork } from '../shell/going-on.ts';
import { gameNotHere } from '../tab/game-not-here.ts';
import { PAUSES } from '../tab/state.ts';
import { useDownloadBytes, useReluctance } from './before-consent.ts';
import { deviceName, rememberName } from './device-name.ts';

const NAME_CHARACTERS = 40;

export function Invitation({ overview, again }: { overview: RunOverview; again: boolean }) {
  const [name, setName] = useState(deviceName);
  const [starting, setStarting] = useState(false);
  const [problem, setProblem] = useState('');
  const [agreed, setAgreed] = useState(false);
  const { run, game, game_file, phase } = overview;
  const isStrangers = !isOfThisBuild(game);
  const called = nameOf(overview.name);
  const size_bytes = useDownloadBytes();
  const reluctant = useReluctance();
  const [last] = useState(lastAtWork);
  const learns = trainsOnText(game);
  // The browser lets this page speak to its own hub alone, so that a tab cannot follow by itself as other devices do.
  if (overview.moved) return <p class="lead">{capital(overview.problem!)}.</p>;
  if (phase === 'finished') {
    return (
      <p class="lead">
        {overview.round === 0
          ? `“${called}” ended before anything was learned: there is nothing to do here.`
          : `“${called}” is over: there is nothing left to ${learns ? 'learn. You can play with its model' : 'do'}.`}
      </p>
    );
  }
  if (isStrangers && !game_file) {
    return (
      <p class="note">
        A tab cannot take part in “{called}”: {gameNotHere(nameOf(game), location.origin)}
      </p>
    );
  }
  const start = async (event: Event): Promise<void> => {
    event.preventDefault();
    setStarting(true);
    setProblem('');
    rememberName(name);
    try {
      const work = {
        ...{ run, ...(isStrangers && { game_file }) },
        name: name.trim() || deviceName(),
        although: reluctant.filter((reason) => reason !== 'owner'),
      };
      await begin(run, work);
      noteWork(work);
    } catch {
      setProblem('The code that computes could not be downloaded: reload this page.');
    } finally {
      setStarting(false);
    }
  };
  return (
    <form class="invitation" onSubmit={start}>
      <p class="lead">
        {again ? 'This tab has stopped. ' : ''}Lend this tab, and it{' '}
        {learns ? 'learns a piece of the text' : `plays a part of ${nameOf(game)}`} for “{called}” in every round. It
        works only while this page is open, stops the moment you say so, and what it has handed in by then is yours.
      </p>
      {phase === 'paused' && (
        <p class="note">“{called}” is paused. A tab that you lend now begins when the run is resumed.</p>
      )}
      {last?.run === run && !again && (
        <p class="note">
          This browser was at work here until {formatTime(last.left_ms)}, when its tab was closed. What it had handed in
          is safe.
        </p>
      )}
      <label>
        Name of this device, as others see it
        <input value={name} maxLength={NAME_CHARACTERS} onInput={(event) => setName(event.currentTarget.value)} />
      </label>
      {isStrangers && game_file && (
        <p class="note">
          {nameOf(game)} is a game that somebody else has written. Its{' '}
          <a href={`/blobs/${game_file}`} target="_blank" rel="noreferrer">
            file
          </a>{' '}
          runs in a sandbox: it reaches no key, no page and no network, and is ended when it loops.
          <label class="choice">
            <input
              type="checkbox"
              required
              checked={agreed}
              onChange={(event) => setAgreed(event.currentTarget.checked)}
            />{' '}
            Run the file {game_file.slice(0, 12)} in this tab
          </label>
        </p>
      )}
      {reluctant.length > 0 && (
        <p class="note">
          {capital(reluctant.map((reason) => PAUSES[reason]).join(' and '))}. Nothing is fetched unless you press the
          button.
        </p>
      )}
      <p class="actions">
        <button type="submit" class="primary large" disabled={starting || (isStrangers && !agreed)}>
          {reluctant.length > 0 ? 'Contribute from this tab all the same' : 'Contribute from this tab'}
        </button>
      </p>
      <p class="fine">
        It first fetches the code that computes:{' '}
        {size_bytes === null ? 'a few megabytes' : `about ${formatBytes(size_bytes)}`}, once; your browser keeps it. It
        can read nothing of yours, and sends only what it has learned. A hidden tab goes on. For a stronger device, in a
        terminal:
      </p>
      <CopyBox text={`npx potluck join ${location.origin}`} />
      {problem && (
        <p class="verdict bad" role="alert">
          {problem}
        </p>
      )}
    </form>
  );
}
