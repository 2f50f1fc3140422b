// What is seen of a device and of its owner's use of it. Each value is known, or does not exist here, or cannot be told now.

/**
 * `absent`: there is nothing to see, as the battery of a desktop computer: no rule about it holds anything up.
 * `unknown`: it is there or may be, but could not be asked: whoever has a rule about it gets the safe choice.
 */
export type Signal<T> = { readonly known: T } | { readonly absent: string } | { readonly unknown: string };

export interface Power {
  readonly on_battery: boolean;
  /** 0 to 100; null: a battery that does not say. */
  readonly charge_percent: number | null;
}

export interface Memory {
  readonly total_bytes: number;
  /** What programs can have without anything being swapped out. */
  readonly available_bytes: number;
  /** What Potluck itself holds. */
  readonly own_bytes: number;
}

export interface Gpu {
  readonly index: number;
  /** Of others than Potluck; null: not told, as on a card where Potluck's own load cannot be told from theirs. */
  readonly foreign_percent: number | null;
  readonly temperature_c: number | null;
}

/** What an hour of work earns and costs now, in millionths of the owner's currency. */
export interface Worth {
  /** null: nobody knows yet, and the device is to find out. */
  readonly earns_micro: number | null;
  readonly costs_micro: number;
  /** Today's work has not earned enough yet to bear that the estimate is wrong. */
  readonly at_risk: boolean;
  /** The same in words. */
  readonly message: string;
}

export interface Signals {
  readonly power: Signal<Power>;
  /** Since the owner's last key, button or movement. Absent: nobody sits at this machine, as in a container. */
  readonly idle_ms: Signal<number>;
  /** Others' part of all cores, 0 to 100, without what Potluck itself takes. */
  readonly foreign_cpu_percent: Signal<number>;
  /** The hottest sensor of processor and board. */
  readonly temperature_c: Signal<number>;
  readonly battery_temperature_c: Signal<number>;
  readonly memory: Signal<Memory>;
  /** Free on the disk that holds Potluck's files. */
  readonly disk_free_bytes: Signal<number>;
  readonly metered: Signal<boolean>;
  readonly gpus: Signal<readonly Gpu[]>;
  readonly worth: Signal<Worth>;
}

export type SignalName = keyof Signals;

/** The signals where nothing can be seen, and why. */
export function nothingSeen(why: string): Signals {
  const none = { absent: why };
  return {
    ...{ power: none, idle_ms: none, foreign_cpu_percent: none, temperature_c: none, battery_temperature_c: none },
    ...{ memory: none, disk_free_bytes: none, metered: none, gpus: none, worth: none },
  };
}
