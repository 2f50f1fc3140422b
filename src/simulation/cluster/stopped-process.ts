// A process that can be stopped for a while and goes on (SIGSTOP, SIGCONT): what comes meanwhile waits, and its clock runs on.
import type { Channel, ChannelListener } from '../../protocol/channel.ts';
import { Process } from '../virtual-time.ts';

export class StoppableProcess extends Process {
  /** What waits while it is stopped; null while it runs. */
  #held: (() => void)[] | null = null;

  get stopped(): boolean {
    return this.#held !== null;
  }

  override after(delay_ms: number, run: () => void) {
    const entry = super.after(delay_ms, () => {
      // A timer that is cleared before its turn does not fire.
      if (this.#held) this.#held.push(() => entry.run && run());
      else run();
    });
    return entry;
  }

  stop(): void {
    this.#held ??= [];
  }

  /** Goes on: what has come meanwhile happens now, in its order. */
  goOn(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const run of held) this.after(0, run);
  }

  /** A connection of this process: what comes over it waits as everything does. */
  holding(channel: Channel): Channel {
    const held = Object.create(channel) as Channel;
    const inTurn = (run: () => void): void => {
      if (this.#held) this.#held.push(run);
      else run();
    };
    return Object.defineProperties(held, {
      open: { get: () => channel.open },
      closed: { get: () => channel.closed },
      queued_bytes: { get: () => channel.queued_bytes },
      listen: {
        value: (listener: ChannelListener) =>
          channel.listen({
            onMessage: (frame) => inTurn(() => listener.onMessage(frame)),
            onAlive: () => inTurn(() => listener.onAlive()),
            onError: () => inTurn(() => listener.onError()),
            onClose: (reason) => inTurn(() => listener.onClose(reason)),
          }),
      },
      ...Object.fromEntries(
        (['send', 'ping', 'close', 'terminate'] as const).map((name) => [
          name,
          { value: (...given: never[]) => (channel[name] as (...all: never[]) => void).apply(channel, given) },
        ]),
      ),
    });
  }
}
