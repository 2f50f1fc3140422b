// The forms that an answer can be held to, and their grammars over a model's tokens.
import type { TokenTable } from '../engine.ts';
import { ServingError } from '../errors.ts';
import { schemaRule } from './json-schema.ts';
import { type JsonRules, jsonRules, manyByteCharacter } from './json-text.ts';
import { MachineBuilder } from './machine.ts';
import type { Schema } from './schema-keywords.ts';
import { TokenGrammar } from './token-grammar.ts';
import { vocabularyOf } from './vocabulary.ts';

export type Form =
  /** Any JSON object. */
  | { readonly kind: 'json' }
  | { readonly kind: 'schema'; readonly schema: Schema }
  /** Exactly this text. */
  | { readonly kind: 'text'; readonly text: string }
  /** Any text in which this one does not occur. */
  | { readonly kind: 'without'; readonly text: string }
  | { readonly kind: 'sequence'; readonly parts: readonly Form[] }
  | { readonly kind: 'choice'; readonly parts: readonly Form[] }
  /** Once or more, with a text between. */
  | { readonly kind: 'repeated'; readonly part: Form; readonly between: string };

/** A server sees the same few forms again and again; a table of 128k tokens costs about a second's walk for each new one. */
const LIMIT_REMEMBERED = 32;

const remembered = new WeakMap<TokenTable, Map<string, TokenGrammar>>();

/**
 * The grammar of a form over a model's tokens; remembered, so that answers of one form share what was found out about it.
 * Throws ServingError `unsupported` (a keyword is named with its path), `bad-input` or `too-large`.
 */
export function grammarOf(form: Form, tokens: TokenTable): TokenGrammar {
  const forms = remembered.get(tokens) ?? new Map<string, TokenGrammar>();
  remembered.set(tokens, forms);
  const key = JSON.stringify(form);
  const made = forms.get(key) ?? compile(form, tokens);
  // The map's order is the order of use: the first is the one that was not asked for longest.
  forms.delete(key);
  forms.set(key, made);
  if (forms.size > LIMIT_REMEMBERED) forms.delete(forms.keys().next().value as string);
  return made;
}

function compile(form: Form, tokens: TokenTable): TokenGrammar {
  const builder = new MachineBuilder();
  const rules = jsonRules(builder);
  const start = builder.state();
  builder.final(build(builder, rules, form, start));
  return new TokenGrammar(builder.finish(start), vocabularyOf(tokens));
}

/** Returns the state behind the form. */
function build(builder: MachineBuilder, rules: JsonRules, form: Form, from: number): number {
  switch (form.kind) {
    case 'json':
    case 'schema': {
      // Models like to begin with a space or a line break.
      const begun = builder.state();
      builder.call(from, rules.space, begun);
      const behind = builder.state();
      builder.call(begun, form.kind === 'json' ? rules.object : schemaRule(builder, rules, form.schema), behind);
      return behind;
    }
    case 'text':
      return builder.text(from, form.text);
    case 'without':
      return without(builder, form.text, from);
    case 'sequence':
      return form.parts.reduce((at, part) => build(builder, rules, part, at), from);
    case 'choice': {
      const behind = builder.state();
      for (const part of form.parts) {
        const begin = builder.state();
        builder.skip(from, begin);
        builder.skip(build(builder, rules, part, begin), behind);
      }
      return behind;
    }
    case 'repeated': {
      const begin = builder.state();
      builder.skip(from, begin);
      const behind = build(builder, rules, form.part, begin);
      builder.skip(builder.text(behind, form.between), begin);
      return behind;
    }
  }
}

/** Any UTF-8 in which an ASCII text does not occur: state i has just read its first i characters (Knuth, Morris and Pratt). */
function without(builder: MachineBuilder, text: string, from: number): number {
  const ascii = Array.from(text, (character) => character.charCodeAt(0));
  if (ascii.length === 0 || ascii.some((code) => code > 0x7f)) {
    throw new ServingError('bad-input', `grammar: expected an ASCII text to leave out, got ${JSON.stringify(text)}`);
  }
  const behind = builder.state();
  const read = ascii.map(() => builder.state());
  builder.skip(from, read[0]);
  for (const [i, state] of read.entries()) {
    builder.skip(state, behind);
    manyByteCharacter(builder, state, read[0]);
    for (let code = 0; code <= 0x7f; code++) {
      let length = i + 1;
      const so_far = text.slice(0, i) + String.fromCharCode(code);
      while (!so_far.endsWith(text.slice(0, length))) length--;
      if (length < ascii.length) builder.edge(state, code, code, read[length]);
    }
  }
  return behind;
}
