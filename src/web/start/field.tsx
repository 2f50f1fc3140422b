// One line of the form with what is wrong with it, said beside the label and not in it: the name of a field stays what it is.
import type { InputHTMLAttributes } from 'preact';

export function Field(
  props: { id: string; label: string; problem: string | undefined; onText: (text: string) => void } & Pick<
    InputHTMLAttributes<HTMLInputElement>,
    'type' | 'value' | 'min' | 'max' | 'step' | 'maxLength'
  >,
) {
  const { id, label, problem, onText, ...input } = props;
  const said = `${id}-problem`;
  return (
    <div class="field">
      <label>
        {label}
        <input
          {...input}
          aria-invalid={problem !== undefined}
          aria-describedby={problem && said}
          onInput={(event) => onText(event.currentTarget.value)}
        />
      </label>
      {problem && (
        <small id={said} class="wrong">
          {problem}
        </small>
      )}
    </div>
  );
}
