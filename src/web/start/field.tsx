// One line of the form with its error beside the label, and not in it, so that the field's accessible name does not change.

export function Field(props: {
  id: string;
  label: string;
  value: string;
  problem: string | undefined;
  onText: (text: string) => void;
  maxLength?: number;
  /** For fields with numbers. */
  numbers?: { readonly min: number; readonly max: number; readonly step: number | 'any' };
}) {
  const { id, label, value, problem, onText, maxLength, numbers } = props;
  const said = `${id}-problem`;
  const common = {
    id,
    value,
    'aria-invalid': problem !== undefined,
    'aria-describedby': problem && said,
    onInput: (event: { currentTarget: HTMLInputElement }) => onText(event.currentTarget.value),
  };
  return (
    <div class="field">
      <label htmlFor={id}>
        {label}
        {numbers ? <input type="number" {...numbers} {...common} /> : <input maxLength={maxLength} {...common} />}
      </label>
      {problem && (
        <small id={said} class="wrong">
          {problem}
        </small>
      )}
    </div>
  );
}
