// A coded payload as it travels: its tokens, scales and codes by an adaptive arithmetic coder (training/entropy.ts), as values of some kinds are rarer
// than others. What is signed, hashed and judged is the payload itself.

import { ModelError } from '../../model/errors.ts';
import { type Codes, isWhole, type Layout, packCodes, unpackCodes } from '../../model/pipeline/boundary.ts';
import { type BitCoder, BitDecoder, BitEncoder } from '../../training/entropy.ts';
import { AdaptiveNumber } from '../../training/entropy-models.ts';
import { tokenBytes } from '../../training/shards.ts';
import { type PayloadShape, windowBytes } from './messages.ts';

/** What a payload is made of. */
export interface PayloadForm {
  /** Bytes of tokens before the codes, and of each of them. */
  readonly tokens_bytes: number;
  readonly token_bytes: number;
  readonly layout: Layout;
  /** Whether each column has a model of its own: activations of a bottleneck differ by it, gradients do not, and a model has to be learned. */
  readonly by_column: boolean;
}

/** The form of what goes to the next stage, or to the one before. */
export function payloadForm(shape: PayloadShape, kind: 'activations' | 'gradient', layout: Layout): PayloadForm {
  const by_column = kind === 'activations';
  return {
    tokens_bytes: by_column ? windowBytes(shape) : 0,
    token_bytes: tokenBytes(shape.vocab_size),
    layout,
    by_column,
  };
}

/** The bytes that are sent for a payload of this form; float32 goes as it is. Throws ModelError `bad-activations` for another payload. */
export function squeezed(form: PayloadForm, payload: Uint8Array): Uint8Array {
  if (isWhole(form.layout)) return payload;
  const encoder = new BitEncoder();
  const codes = unpackCodes(form.layout, payload.subarray(form.tokens_bytes));
  codeAll(encoder, form, payload.slice(0, form.tokens_bytes), codes);
  return encoder.finish();
}

/** Reads what `squeezed` wrote. Throws ModelError `bad-activations` for bytes that it does not write. */
export function unsqueezed(form: PayloadForm, sent: Uint8Array): Uint8Array {
  const { layout, tokens_bytes } = form;
  if (isWhole(layout)) return sent;
  const tokens = new Uint8Array(tokens_bytes);
  const codes = new Int32Array(layout.rows * layout.columns);
  const scales = new Int32Array(layout.rows / layout.scale_rows);
  const decoder = new BitDecoder(sent);
  codeAll(decoder, form, tokens, { codes, scales });
  if (!decoder.atEnd()) {
    throw new ModelError(
      'bad-activations',
      `a micro-batch: expected bytes of the arithmetic coder, got ${sent.length}`,
    );
  }
  const packed = packCodes(layout, { codes, scales });
  const payload = new Uint8Array(tokens_bytes + packed.length);
  payload.set(tokens);
  payload.set(packed, tokens_bytes);
  return payload;
}

/** Writes all values, or reads them in their place. */
function codeAll(coder: BitCoder, form: PayloadForm, tokens: Uint8Array, { codes, scales }: Codes): void {
  const { token_bytes, layout, by_column } = form;
  codeEach(coder, tokens, models(token_bytes, 8));
  codeEach(coder, scales, models(1, 8));
  codeEach(coder, codes, models(by_column ? layout.columns : 1, layout.bits));
}

const models = (count: number, bits: number) => Array.from({ length: count }, () => new AdaptiveNumber(bits));

function codeEach(coder: BitCoder, values: Uint8Array | Int32Array, by: readonly AdaptiveNumber[]): void {
  for (let i = 0; i < values.length; i++) values[i] = by[i % by.length].code(coder, values[i]);
}
