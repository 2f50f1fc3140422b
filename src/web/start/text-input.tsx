// The text to learn from, from files or pasted. Of a long text only the beginning is shown, but all of it is used.
import { useRef, useState } from 'preact/hooks';
import { formatWhole } from '../shell/format.ts';

/** A larger text should be given as files to the command, which reads them piece by piece. */
const TEXT_BYTES = 16 << 20;
const TOO_LONG = `At most ${TEXT_BYTES >> 20} MB fit here; the command potluck run create takes any amount.`;
/** With more characters in the box, typing becomes slow. */
const EDITED_CHARACTERS = 50_000;
const SHOWN_CHARACTERS = 5000;

export function TextInput({ text, onText }: { text: string; onText: (text: string) => void }) {
  const [problem, setProblem] = useState('');
  const picker = useRef<HTMLInputElement>(null);
  const take = (next: string): void => {
    // A character takes at least one byte; the exact size is known only of files.
    const fits = next.length <= TEXT_BYTES;
    setProblem(fits ? '' : TOO_LONG);
    onText(fits ? next : text);
  };
  const read = async (list: readonly File[]): Promise<void> => {
    if (list.length === 0) return;
    try {
      const { readFiles } = await import('./read-files.ts');
      const read = await readFiles(list, TEXT_BYTES);
      if (read === null) setProblem(TOO_LONG);
      else if (read.trim() === '') setProblem('There is no text in it.');
      else take(read);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  const putAway = (): void => {
    if (picker.current) picker.current.value = '';
    take('');
  };
  const long = text.length > EDITED_CHARACTERS;
  return (
    <>
      <label>
        Text to learn from: choose files
        <input
          ref={picker}
          type="file"
          multiple
          accept=".txt,.md,.markdown,.jsonl,.ndjson,.json,.gz,text/*"
          onChange={(event) => void read([...(event.currentTarget.files ?? [])])}
        />
      </label>
      <label class="wide">
        or paste it here
        <textarea
          rows={4}
          readOnly={long}
          value={long ? text.slice(0, SHOWN_CHARACTERS) : text}
          onInput={(event) => {
            const box = event.currentTarget;
            take(box.value);
            if (box.value.length > TEXT_BYTES) box.value = text; // refused, so the box shows the old text
          }}
        />
      </label>
      <p class="fine actions" role="status">
        {problem}
        {text !== '' && (
          <span>
            {formatWhole(text.length)} characters
            {long &&
              `, all of them kept; the box shows the first ${formatWhole(SHOWN_CHARACTERS)} and cannot be edited`}
            .
          </span>
        )}
        {text !== '' && (
          <button type="button" class="text" onClick={putAway}>
            Remove the text
          </button>
        )}
      </p>
    </>
  );
}
