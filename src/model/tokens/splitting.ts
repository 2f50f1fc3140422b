// Splits a text at the matches of a pattern, as NormalizedString::split of Hugging Face's tokenizers does.
import { z } from 'zod';
import { literalRegExp, onigurumaRegExp } from './oniguruma.ts';

/** A span of a text, and whether the pattern matched it. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly matches: boolean;
}

export const BehaviorSchema = z.enum(['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous']);
export type Behavior = z.infer<typeof BehaviorSchema>;

export const PatternSchema = z.union([
  z.strictObject({ String: z.string() }),
  z.strictObject({ Regex: z.string().min(1) }),
]);
export type Pattern = z.infer<typeof PatternSchema>;

/** The regular expression of a pattern; null for the empty string, which matches nowhere. Throws ModelError `unsupported`. */
export function patternRegExp(pattern: Pattern): RegExp | null {
  if ('Regex' in pattern) return onigurumaRegExp(pattern.Regex);
  return pattern.String === '' ? null : literalRegExp(pattern.String);
}

/** The whole text as spans: those that the pattern matches, and those in between. Single characters match one by one. */
export function spansOf(text: string, pattern: RegExp | null): Span[] {
  const spans: Span[] = [];
  let done = 0;
  let lastEnd = -1;
  for (const { 0: match, index } of pattern ? text.matchAll(pattern) : []) {
    // Right after a match an empty one does not count.
    if (match === '' && index === lastEnd) continue;
    lastEnd = index + match.length;
    if (index > done) spans.push({ start: done, end: index, matches: false });
    done = index + match.length;
    spans.push({ start: index, end: done, matches: true });
  }
  if (done < text.length) spans.push({ start: done, end: text.length, matches: false });
  return spans;
}

/** The remaining pieces of a text, without empty ones. */
export function piecesOf(text: string, spans: readonly Span[], behavior: Behavior): string[] {
  const pieces = joined(spans, behavior).map(({ start, end }) => text.slice(start, end));
  return pieces.filter((piece) => piece !== '');
}

function joined(spans: readonly Span[], behavior: Behavior): readonly Span[] {
  if (behavior === 'Isolated') return spans;
  if (behavior === 'Removed') return spans.filter(({ matches }) => !matches);
  const result: Span[] = [];
  let previous = false;
  const ordered = behavior === 'MergedWithNext' ? spans.toReversed() : spans;
  for (const span of ordered) {
    const last = result.at(-1);
    const joins = behavior === 'Contiguous' ? span.matches === previous : span.matches && !previous;
    if (joins && last) {
      result[result.length - 1] = {
        start: Math.min(last.start, span.start),
        end: Math.max(last.end, span.end),
        matches: false,
      };
    } else result.push(span);
    previous = span.matches;
  }
  return behavior === 'MergedWithNext' ? result.reverse() : result;
}
