// A device that makes vectors of texts: one text after the other, sent as they come.
import type { Clock } from '../protocol/clock.ts';
import { orNull } from '../protocol/errors.ts';
import { EmbedInputsSchema, packFloats, unpackRequest } from '../protocol/serving-bytes.ts';
import type { FromServingPeer } from '../protocol/serving-from-peer.ts';
import { SERVE_LIMITS } from '../protocol/serving-messages.ts';
import { ServingError } from '../serving/errors.ts';

/** What waits to be sent is sent after so long, also where a message would take more. */
const FLUSH_MS = 250;

/** The part of a model that makes vectors. */
export interface EmbeddingModel {
  /** The vector of one text; missing: it makes none. */
  embed?(
    input: string | readonly number[],
    signal: AbortSignal,
  ): Promise<{ readonly vector: Float32Array; readonly tokens: number }>;
}

interface SendingOptions {
  readonly clock: Clock;
  send(message: FromServingPeer): void;
  /** As for answers: when the owner's rules let the device compute. */
  rested?(): Promise<void>;
  worked?(): Promise<void>;
}

interface Asked {
  readonly lease: string;
  readonly asked: Uint8Array;
}

/** Throws ServingError, and what the engine throws; when the signal fires, nothing more is sent. */
export async function sendVectors(
  { lease, asked }: Asked,
  model: EmbeddingModel,
  { clock, send, rested, worked }: SendingOptions,
  stop: AbortSignal,
): Promise<void> {
  const inputs = orNull(() => unpackRequest(asked, EmbedInputsSchema));
  if (!inputs) throw new ServingError('bad-input', 'texts that cannot be read');
  if (!model.embed) throw new ServingError('unsupported', 'the model makes no embeddings');
  let waiting: number[] = [];
  let sent = 0;
  let tokens = 0;
  let width = 0;
  let sent_ms = clock.elapsed_ms();
  const flush = (): void => {
    const most = SERVE_LIMITS.packed_bytes / 4;
    for (let at = 0; at < waiting.length; at += most) {
      const values = Float32Array.from(waiting.slice(at, at + most));
      send({ type: 'embedded', lease, from: sent, packed: packFloats(values) });
      sent += values.length;
    }
    waiting = [];
    sent_ms = clock.elapsed_ms();
  };
  await rested?.();
  for (const input of inputs) {
    stop.throwIfAborted();
    const made = await model.embed(input, stop);
    stop.throwIfAborted();
    width = made.vector.length;
    if (width * inputs.length > SERVE_LIMITS.embed_floats) {
      const fact = `${inputs.length} vectors of ${width} numbers, the pool carries ${SERVE_LIMITS.embed_floats} numbers`;
      throw new ServingError('too-large', `embedding: ${fact}`);
    }
    tokens += made.tokens;
    waiting.push(...made.vector);
    const isMuch = waiting.length * 4 >= SERVE_LIMITS.packed_bytes;
    if (isMuch || clock.elapsed_ms() - sent_ms >= FLUSH_MS) flush();
    await worked?.();
  }
  stop.throwIfAborted();
  flush();
  send({ type: 'embed-ended', lease, tokens, width });
}
