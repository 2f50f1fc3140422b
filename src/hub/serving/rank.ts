// Which device writes an answer best: pure, by what the hub has measured, then by price, nearness and fairness.

/** Two devices whose expected times differ by less than this are equally fast: price and nearness decide. */
const ALIKE = 1.3;
/** What a device without a record is expected to take, as a multiple of what is usual: it is tried where others are busy. */
const NEWCOMER_TIMES = 2;
/** Of a prompt whose beginning the device has read lately, so much is left to read. */
const WARM_PART = 0.25;
/** However often a device has failed, once in a while it is tried. */
const LEAST_SUCCESS = 0.1;

/** How fast a device writes with one model, measured by the hub. */
export interface Speed {
  /** From the request to the first token, for each token of the prompt (and FIRST_TOKENS more). */
  readonly first_ms_per_token: number;
  readonly gap_ms: number;
}

/** What every request takes to its first token, as tokens of a prompt: a first step, and messages. */
export const FIRST_TOKENS = 16;

export interface DeviceKnown {
  readonly id: string;
  readonly class: string;
  readonly places: number;
  readonly free_tokens: number;
  readonly context_tokens: number;
  /** null: it has not served this model yet. */
  readonly speed: Speed | null;
  readonly round_trip_ms: number;
  /** Of its last hundred leases, the part that ended well. */
  readonly success: number;
  /** It has read the beginning of this prompt lately. */
  readonly warm: boolean;
  /** What this answer costs there at most. */
  readonly price: number;
  /** It is where the caller is, by its owner's word. */
  readonly near: boolean;
  /** It is connected to a process of another region than the gateway's. */
  readonly away: boolean;
  /** It was late and has not said anything since. */
  readonly silent: boolean;
  /** It was late with this answer before. */
  readonly was_late: boolean;
  readonly last_given_ms: number;
}

export interface WorkKnown {
  /** Tokens to read before the first new one, and tokens to write at most. */
  readonly read_tokens: number;
  readonly left_tokens: number;
  /** The class of the device that has written what there is; null: nothing is written. */
  readonly class: string | null;
  /** What is usual for the model in the pool. */
  readonly usual: Speed;
}

/** Whether a device has room for an answer now. Whether its context holds the prompt it knows itself: the tokens of a text are estimated here. */
export const hasRoom = (
  device: Omit<DeviceKnown, 'was_late'>,
  { read_tokens, left_tokens }: Pick<WorkKnown, 'read_tokens' | 'left_tokens'>,
): boolean =>
  !device.silent &&
  device.places > 0 &&
  device.free_tokens >= Math.min(read_tokens + left_tokens, device.context_tokens);

/** How long the whole answer is likely to take there. */
function expectedMs(device: DeviceKnown, { read_tokens, left_tokens, usual }: WorkKnown): number {
  const { first_ms_per_token, gap_ms } = device.speed ?? {
    first_ms_per_token: usual.first_ms_per_token * NEWCOMER_TIMES,
    gap_ms: usual.gap_ms * NEWCOMER_TIMES,
  };
  const read = FIRST_TOKENS + read_tokens * (device.warm ? WARM_PART : 1);
  const well_ms = device.round_trip_ms + read * first_ms_per_token + left_tokens * gap_ms;
  return well_ms / Math.max(LEAST_SUCCESS, device.success);
}

/** The best of the devices that have room; undefined: none has. Later numbers decide only between devices that are equal by all before them. */
export function bestDevice(devices: readonly DeviceKnown[], work: WorkKnown): DeviceKnown | undefined {
  const bucket = (device: DeviceKnown): number => Math.floor(Math.log(1 + expectedMs(device, work)) / Math.log(ALIKE));
  const keyOf = (device: DeviceKnown): number[] => [
    Number(device.context_tokens <= work.read_tokens),
    Number(device.was_late),
    Number(device.away),
    Number(work.class !== null && device.class !== work.class),
    bucket(device),
    device.price,
    Number(!device.near),
    Math.floor(Math.log2(1 + device.round_trip_ms)),
    device.last_given_ms,
  ];
  let best: { readonly device: DeviceKnown; readonly key: number[] } | undefined;
  for (const device of devices) {
    if (!hasRoom(device, work)) continue;
    const key = keyOf(device);
    const order = best ? compare(key, best.key) || (device.id < best.device.id ? -1 : 1) : -1;
    if (order < 0) best = { device, key };
  }
  return best?.device;
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, i) => value !== b[i]);
  return at < 0 ? 0 : a[at] - b[at];
}
