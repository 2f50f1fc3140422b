// Which device gets a micro-batch next: the one that is likely to be done with it first, of those of the stage that still take some.

/** How much the newest time counts. */
const NEWEST_PART = 0.2;

/** A mean that follows the newest times; null before the first. */
export class UsualTime {
  ms: number | null = null;

  add(took_ms: number): void {
    this.ms = this.ms === null ? took_ms : this.ms + NEWEST_PART * (took_ms - this.ms);
  }
}

/** What is known of a device of another stage. */
interface Partner {
  readonly usual: UsualTime;
  under_way: number;
}

export class Routes {
  readonly #partners = new Map<string, Partner>();

  /** The one with the shortest queue in time; null: there is none. One that nobody has tried counts as the fastest of them. */
  choose(devices: readonly string[]): string | null {
    const known = devices.flatMap((device) => this.#of(device).usual.ms ?? []);
    const fastest_ms = known.length === 0 ? 1 : Math.min(...known);
    let best: { readonly device: string; readonly wait_ms: number } | null = null;
    for (const device of devices) {
      const { usual, under_way } = this.#of(device);
      const wait_ms = (under_way + 1) * (usual.ms ?? fastest_ms);
      if (!best || wait_ms < best.wait_ms) best = { device, wait_ms };
    }
    return best?.device ?? null;
  }

  sent(device: string): void {
    this.#of(device).under_way++;
  }

  /** It is back, or not waited for any more, after so long. */
  over(device: string, took_ms: number): void {
    const partner = this.#of(device);
    partner.under_way--;
    partner.usual.add(took_ms);
  }

  /** It need not do it any more, and that says nothing about it. */
  forget(device: string): void {
    this.#of(device).under_way--;
  }

  #of(device: string): Partner {
    const known = this.#partners.get(device) ?? { usual: new UsualTime(), under_way: 0 };
    this.#partners.set(device, known);
    return known;
  }
}
