// What NVIDIA's driver tells of graphics processors, on any system: nvidia-smi(1). Cards of others nobody tells of yet.
import type { Gpu, Signals } from './signals.ts';
import type { Run, Said, Source } from './sources.ts';

const EVERY_MS = 5000;
const CARDS = ['--query-gpu=index,utilization.gpu,temperature.gpu', '--format=csv,noheader,nounits'];
const PROCESSES = ['pmon', '-c', '1', '-s', 'u'];

/** Potluck's own use of them. */
export interface OwnGpuUse {
  /** Processes of Potluck, those that talk to a card among them. */
  readonly own_pids: () => readonly number[];
  /** Those of this device that talk to a card now. */
  readonly gpu_pids: () => readonly number[];
}

export const gpuSource = (run: Run, { own_pids, gpu_pids }: OwnGpuUse): Source => ({
  tells: ['gpus'],
  every_ms: EVERY_MS,
  read: async () => {
    const gpus = gpusOf(await run('nvidia-smi', ...CARDS));
    if (!('known' in gpus) || gpu_pids().length === 0) return { gpus };
    return { gpus: { known: withoutOwn(gpus.known, await run('nvidia-smi', ...PROCESSES), own_pids()) } };
  },
});

/** All of a card's load counts as others'. */
export function gpusOf(said: Said): Signals['gpus'] {
  if ('missing' in said) return { absent: 'no nvidia-smi' };
  if ('failed' in said) return { unknown: said.failed };
  const gpus: Gpu[] = [];
  for (const line of said.text.trim().split('\n')) {
    const [index, load, heat] = line.split(',').map((word) => Number(word.trim()));
    const right = Number.isInteger(index) && index >= 0 && load >= 0 && load <= 100;
    if (!right) return { unknown: `nvidia-smi said "${line.slice(0, 80)}"` };
    gpus.push({ index, foreign_percent: load, temperature_c: heat > -20 && heat < 150 ? heat : null });
  }
  return { known: gpus };
}

/**
 * The same without the load of own processes, by `nvidia-smi pmon`: a line that names the columns, then one a process, "-" where nothing is
 * told. Where own processes are not among them, as in a container, nobody can tell whose load it is.
 */
export function withoutOwn(gpus: readonly Gpu[], said: Said, own: readonly number[]): Gpu[] {
  const [head = '', ...lines] = 'text' in said ? said.text.trim().split('\n') : [];
  const columns = head.replace('#', ' ').trim().split(/\s+/);
  const rows = lines
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.trim().split(/\s+/))
    .filter((row) => own.includes(Number(row[columns.indexOf('pid')])));
  return gpus.map(({ index, foreign_percent: load, temperature_c }) => {
    const mine = rows.filter((row) => Number(row[columns.indexOf('gpu')]) === index);
    const own_percent = mine.reduce((sum, row) => sum + (Number(row[columns.indexOf('sm')]) || 0), 0);
    const told = rows.length > 0 && load !== null;
    return { index, foreign_percent: told ? Math.max(0, load - own_percent) : null, temperature_c };
  });
}
