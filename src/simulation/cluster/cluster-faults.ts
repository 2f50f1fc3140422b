// What the faults of a hub of several processes do, and how each of them ends.
import { CALM_WEATHER } from '../../hub/cluster/memory-bus.ts';
import type { Cluster } from './cluster-history.ts';
import type { ClusterFault, ClusterFaultKind } from './cluster-plan.ts';
import type { Machine } from './machine.ts';
import { CALM_JOURNAL, type JournalWeather } from './shared-journal.ts';

/** Begins a fault; what is returned ends it. */
type Begin = (cluster: Cluster, machine: Machine, fault: ClusterFault) => () => void;

const LOST_PERMILLE = 100;

/** In these the journal or the bus cannot be relied on. */
const TROUBLES: readonly ClusterFaultKind[] = [
  ...(['cut-bus', 'part-bus', 'cut-journal', 'bus-down', 'bus-loses'] as const),
  ...(['journal-refuses', 'journal-away', 'journal-slow', 'journal-loses', 'journal-late'] as const),
];

export function begin(cluster: Cluster, fault: ClusterFault): void {
  const { machines, time } = cluster;
  const machine = machines[fault.machine % machines.length];
  cluster.say(`${fault.kind} for ${fault.duration_ms} ms (${machine.name})`);
  if (TROUBLES.includes(fault.kind)) {
    cluster.troubled_until_ms = Math.max(cluster.troubled_until_ms, time.now_ms + fault.duration_ms);
  }
  const end = BEGINNINGS[fault.kind](cluster, machine, fault);
  time.after(fault.duration_ms, () => {
    cluster.say(`${fault.kind} is over (${machine.name})`);
    end();
  });
}

const killed =
  (losesCopy: boolean): Begin =>
  (cluster, machine) => {
    cluster.ended(machine, losesCopy);
    return () => machine.start();
  };

const journalIs =
  (weather: Partial<JournalWeather>): Begin =>
  ({ journal }) => {
    Object.assign(journal.weather, weather);
    return () => {
      for (const name of Object.keys(weather) as (keyof JournalWeather)[]) journal.weather[name] = CALM_JOURNAL[name];
    };
  };

const stopped: Begin = (_, machine) => {
  machine.stop();
  return () => machine.goOn();
};

const BEGINNINGS: Readonly<Record<ClusterFaultKind, Begin>> = {
  'kill-leader': (cluster, _, { point }) => {
    const { journal, machines } = cluster;
    let victim: Machine | null = null;
    journal.armed = point;
    journal.onKill = (process) => {
      victim = machines.find((one) => one.runs(process))!;
      cluster.ended(victim, false);
    };
    return () => {
      journal.armed = null;
      victim?.start();
    };
  },
  kill: killed(false),
  power: killed(true),
  restart: (_, machine) => {
    machine.close();
    return () => machine.start();
  },
  stop: stopped,
  'stop-leader': (cluster, machine, fault) => stopped(cluster, cluster.leader ?? machine, fault),
  'lease-lies': ({ leases }) => {
    leases.lie(true);
    return () => leases.lie(false);
  },
  'lease-deaf': ({ leases }, { name }) => {
    leases.reach(name, false);
    return () => leases.reach(name, true);
  },
  'cut-bus': ({ engine }, machine) => {
    const reach = (reaches: boolean): void => {
      machine.cut_off = !reaches;
      engine.reach(machine.name, reaches);
    };
    reach(false);
    return () => reach(true);
  },
  'part-bus': ({ engine, leases }, { name }) => {
    // The lease is kept by the bus's servers.
    leases.reach(name, false);
    engine.part([[name]]);
    return () => {
      leases.reach(name, true);
      engine.part([]);
    };
  },
  'cut-journal': ({ journal }, { name }) => {
    journal.cut.add(name);
    return () => void journal.cut.delete(name);
  },
  'cut-clients': ({ unreachable, devices }, machine) => {
    unreachable.add(machine.name);
    for (const device of devices) if (device.at === machine) device.cut();
    return () => void unreachable.delete(machine.name);
  },
  'bus-down': ({ engine, leases, machines }) => {
    engine.run(false);
    for (const { name } of machines) leases.reach(name, false);
    return () => {
      engine.run(true);
      for (const { name } of machines) leases.reach(name, true);
    };
  },
  'bus-loses': ({ engine }) => {
    engine.weather.lost_permille = LOST_PERMILLE;
    return () => {
      engine.weather.lost_permille = CALM_WEATHER.lost_permille;
    };
  },
  'journal-refuses': journalIs({ refused_percent: 20 }),
  'journal-away': journalIs({ refused_percent: 100 }),
  'journal-slow': journalIs({ slow_ms: 5000 }),
  'journal-loses': journalIs({ lost_percent: 15 }),
  'journal-late': journalIs({ late_percent: 15 }),
  'device-off': (cluster, machine, fault) => {
    const device = cluster.devices[fault.machine % Math.max(1, cluster.devices.length)];
    const at = device?.at ?? machine;
    device?.switchOff();
    return killed(false)(cluster, at, fault);
  },
};
