// Bodies that go down piece by piece, as their readers take them, each in a place of its own (transfers.ts).
import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import type { Transfers } from './transfers.ts';

/** Ends the connection that an answer goes over. */
export const cutOff = (c: Context): void => void (c.env as HttpBindings).outgoing.destroy();

/**
 * A body that reads on only when its reader has taken what was read, and not at all for one that has gone. Where it cannot go on, `cut` ends
 * the connection, so that nobody takes what came for the whole. Throws HubError busy.
 */
export function carriedBy(
  transfers: Transfers,
  address: string | null,
  pieces: AsyncIterable<Uint8Array>,
  onBytes: (size_bytes: number) => void,
  cut: (error: unknown) => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reading = pieces[Symbol.asyncIterator]();
  const transfer = transfers.begin({ address, onEnd: cut });
  const over = (): void => {
    transfer.done();
    reading.return?.().catch(() => {}); // nobody reads on
  };
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const next = await reading.next();
          if (next.done) {
            controller.close();
            over();
            return;
          }
          transfer.moved(next.value.length);
          onBytes(next.value.length);
          controller.enqueue(next.value as Uint8Array<ArrayBuffer>);
        } catch (error) {
          cut(error);
          over();
        }
      },
      cancel: over,
    },
    { highWaterMark: 0 },
  );
}
