// Response bodies that are read piece by piece as their clients take them, each within the limits of transfers.ts.
import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import type { Transfers } from './transfers.ts';

/** Ends the connection of an answer. */
export const cutOff = (c: Context): void => void (c.env as HttpBindings).outgoing.destroy();

/**
 * A body that is read only as fast as its client takes it, and not at all once the client is gone. Where it cannot continue, `cut` ends the
 * connection, so that the client does not take the part for the whole. Throws HubError `busy`.
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
    reading.return?.().catch(() => {}); // the reading has ended
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
