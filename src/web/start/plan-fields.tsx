// The numbers of a plan: the important ones, and, folded away, those that the command sets by flags.
import { type Draft, fieldsOf, hasSize, NUMBERS, type NumberField, type Problems, SIZES, type Size } from './draft.ts';
import { Field } from './field.tsx';
import type { Plan } from './plan.ts';

const SIZE_NAMES: Readonly<Record<Size, string>> = { small: 'Small', medium: 'Medium', large: 'Large' };
const RUN: readonly NumberField[] = ['rounds', 'round_seconds', 'steps', 'min_workers'];
const MORE: readonly NumberField[] = ['layers', 'width', 'heads', 'context', 'batch', 'learning_rate'];
const MERGE_RULES: Readonly<Record<Plan['merge_rule'], string>> = {
  mean: 'every update counts',
  agreement: 'only updates that agree with the others count; for workers that nobody vouches for',
};

interface Fields {
  readonly draft: Draft;
  readonly problems: Problems;
  readonly onChange: (part: Partial<Draft>) => void;
}

export function PlanFields({ draft, problems, onChange }: Fields) {
  return (
    <>
      <fieldset class="sizes">
        <legend>Size of the model</legend>
        {(Object.keys(SIZES) as Size[]).map((size) => (
          <label key={size} class="inline">
            <input type="radio" name="size" checked={hasSize(draft, size)} onChange={() => onChange(fieldsOf(size))} />
            {SIZE_NAMES[size]}, {SIZES[size].layers} layers of {SIZES[size].width}
          </label>
        ))}
      </fieldset>
      <Numbers fields={RUN} {...{ draft, problems, onChange }} />
      <details class="more" open={MORE.some((field) => problems.has(field)) || undefined}>
        <summary>More: shape, batch, learning rate, seed</summary>
        <div class="more-fields">
          <Numbers fields={MORE} {...{ draft, problems, onChange }} />
          <label class="inline">
            <input
              type="checkbox"
              checked={draft.tied}
              onChange={(event) => onChange({ tied: event.currentTarget.checked })}
            />
            Share the embedding with the output layer
          </label>
          <label>
            Seed of the initial weights
            <input value={draft.seed} onInput={(event) => onChange({ seed: event.currentTarget.value })} />
          </label>
          <label class="wide">
            Which work is merged
            <select
              value={draft.merge_rule}
              onChange={(event) => onChange({ merge_rule: event.currentTarget.value as Plan['merge_rule'] })}
            >
              {Object.entries(MERGE_RULES).map(([rule, words]) => (
                <option key={rule} value={rule}>
                  {rule}: {words}
                </option>
              ))}
            </select>
          </label>
        </div>
      </details>
    </>
  );
}

function Numbers({ fields, draft, problems, onChange }: Fields & { fields: readonly NumberField[] }) {
  return (
    <div class="numbers">
      {fields.map((field) => {
        const { label, min, max, whole } = NUMBERS[field];
        return (
          <Field
            key={field}
            id={field}
            label={label}
            value={draft[field]}
            numbers={{ min, max, step: whole ? 1 : 'any' }}
            problem={problems.get(field)}
            onText={(text) => onChange({ [field]: text })}
          />
        );
      })}
    </div>
  );
}
