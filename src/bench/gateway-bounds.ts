// What is promised of a gateway with many streams at once, and whether it holds.

/** For so many streams and more: fewer do not pay for the code's warming up. */
export const GATEWAY_BOUNDS = { streams: 1000, cpu_ms_a_token: 0.3, rss_bytes: 600e6 } as const;

export function costsTooMuch(measured: Readonly<Record<keyof typeof GATEWAY_BOUNDS, number>>): boolean {
  const { streams, cpu_ms_a_token, rss_bytes } = GATEWAY_BOUNDS;
  return measured.streams >= streams && (measured.cpu_ms_a_token > cpu_ms_a_token || measured.rss_bytes > rss_bytes);
}
