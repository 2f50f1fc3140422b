// What `bench pipeline` counts at its boundaries: bytes of values, and of messages as devices send them.
import { encodeForward, encodeMessage, type HandedOn, type PayloadShape } from '../games/pipeline/messages.ts';
import { payloadForm, squeezed } from '../games/pipeline/squeeze.ts';
import type { LlamaConfig } from '../model/config.ts';
import { type Boundary, boundaryBytes, layoutOf } from '../model/pipeline/boundary.ts';
import type { Batch } from '../training/inner.ts';

/** Bytes of a boundary for each token, of several the mean, and how many times fewer they are than those of float32 values, both directions together. */
export interface Traffic {
  /** Values and scales alone. */
  readonly forward_bytes: number;
  readonly backward_bytes: number;
  readonly ratio: number;
  /** Whole messages as they are sent: with tokens, names and signatures, by the arithmetic coder. */
  readonly wire_forward_bytes: number;
  readonly wire_backward_bytes: number;
  readonly wire_ratio: number;
}

/** Seeds and keys are as long as this, signatures as that. */
const SOME_KEY = '0'.repeat(64);
const SIGNATURE = new Uint8Array(64);

/** Counts what crosses one boundary. */
export class BoundaryTally {
  readonly #config: LlamaConfig;
  readonly #shape: PayloadShape;
  readonly #boundary: Boundary;
  readonly #sent = { activations: { bytes: 0, messages: 0 }, gradient: { bytes: 0, messages: 0 } };

  constructor(config: LlamaConfig, shape: Omit<PayloadShape, 'vocab_size'>, boundary: Boundary) {
    this.#config = config;
    this.#shape = { ...shape, vocab_size: config.vocab_size };
    this.#boundary = boundary;
  }

  forward(number: number, windows: Batch, activations: Uint8Array): void {
    this.#count('activations', number, encodeForward(this.#shape, windows, activations));
  }

  backward(number: number, gradient: Uint8Array): void {
    this.#count('gradient', number, gradient);
  }

  #count(kind: HandedOn['kind'], number: number, payload: Uint8Array): void {
    const form = payloadForm(this.#shape, kind, this.#layout(kind));
    const message = { kind, seed: SOME_KEY, origin: SOME_KEY, number, signature: SIGNATURE };
    this.#sent[kind].bytes += encodeMessage({ ...message, payload: squeezed(form, payload) }).length;
    this.#sent[kind].messages++;
  }

  #layout(kind: HandedOn['kind']) {
    return layoutOf(this.#config, this.#shape, this.#boundary, kind === 'gradient' ? 'gradients' : kind);
  }

  traffic(): Traffic {
    const { batch, context } = this.#shape;
    const tokens = batch * context;
    const bytes = (kind: HandedOn['kind']) => boundaryBytes(this.#layout(kind)) / tokens;
    const wire = (kind: HandedOn['kind']) => this.#sent[kind].bytes / this.#sent[kind].messages / tokens;
    return trafficOf(this.#config, {
      ...{ forward_bytes: bytes('activations'), backward_bytes: bytes('gradient') },
      ...{ wire_forward_bytes: wire('activations'), wire_backward_bytes: wire('gradient') },
    });
  }
}

/** The mean of some boundaries. */
export function meanTraffic(config: LlamaConfig, all: readonly Traffic[]): Traffic {
  const mean = (of: (one: Traffic) => number) => all.reduce((sum, one) => sum + of(one), 0) / all.length;
  return trafficOf(config, {
    forward_bytes: mean((one) => one.forward_bytes),
    backward_bytes: mean((one) => one.backward_bytes),
    wire_forward_bytes: mean((one) => one.wire_forward_bytes),
    wire_backward_bytes: mean((one) => one.wire_backward_bytes),
  });
}

function trafficOf({ hidden_size }: LlamaConfig, bytes: Omit<Traffic, 'ratio' | 'wire_ratio'>): Traffic {
  const float32_bytes = 2 * 4 * hidden_size;
  return {
    ...bytes,
    ratio: float32_bytes / (bytes.forward_bytes + bytes.backward_bytes),
    wire_ratio: float32_bytes / (bytes.wire_forward_bytes + bytes.wire_backward_bytes),
  };
}
