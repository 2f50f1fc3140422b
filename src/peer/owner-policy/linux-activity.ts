// When the owner of a Linux device last touched it: terminals' access times, the keyboard controller's interrupts, the desktop, logind.
// No one of them sees everything: USB keyboards of a desktop only the desktop sees, and the kernel rounds a terminal's times to eight seconds.
import { atimeNow, type LinuxPlace, namesIn, namesNow, textNow } from './linux-files.ts';
import type { Signal, Signals } from './signals.ts';
import type { Said } from './sources.ts';

const EVERY_MS = { desktop: 1000, seat: 5000 } as const;

const MUTTER = 'org.gnome.Mutter.IdleMonitor';
const DESKTOP = [
  'call',
  '--session',
  '--dest',
  MUTTER,
  '--object-path',
  '/org/gnome/Mutter/IdleMonitor/Core',
  '--method',
  `${MUTTER}.GetIdletime`,
];
const SEAT = ['show-seat', 'seat0', '-p', 'IdleHint', '-p', 'IdleSinceHintMonotonic'];

/** When, by elapsed time, the last touch was that one of them knows of. */
type Heard = Signal<number>;

/** @returns what a source reads: how long ago the newest touch was that any of them has seen */
export function linuxActivity(place: LinuxPlace): () => Promise<Pick<Signals, 'idle_ms'>> {
  const { clock, run } = place;
  const terminals = openTerminals(place);
  const keys = openInterrupts(place);
  const desktop = seldom(place, EVERY_MS.desktop, async () => idleOfDesktop(await run('gdbus', ...DESKTOP)));
  const seat = seldom(place, EVERY_MS.seat, async () => idleOfSeat(await run('loginctl', ...SEAT), uptimeOf(place)));
  return async () => {
    const onScreen = await desktop();
    // The seat's hint comes late, and of desktops that never set it nothing comes at all: it is for where nothing better is.
    const heard = [terminals(), keys(), 'known' in onScreen ? onScreen : await seat()];
    const known = heard.flatMap((one) => ('known' in one ? [one.known] : []));
    if (known.length > 0) return { idle_ms: { known: Math.max(0, clock.elapsed_ms() - Math.max(...known)) } };
    const hasKeyboard = (await namesIn(place, 'dev', 'input')).some((name) => name.startsWith('event'));
    const why = heard.flatMap((one) => ('unknown' in one ? [one.unknown] : []))[0];
    if (why !== undefined) return { idle_ms: { unknown: why } };
    if (hasKeyboard)
      return { idle_ms: { unknown: 'there are keys or a mouse, and nothing here tells when they were touched' } };
    return { idle_ms: { absent: 'no terminal, no keys, no desktop' } };
  };
}

/** Asks at most so often, and remembers what was heard. One that has no such thing is asked a hundred times less often. */
function seldom({ clock }: LinuxPlace, every_ms: number, ask: () => Promise<Signal<number>>): () => Promise<Heard> {
  let heard: Heard = { absent: 'not asked yet' };
  let next_ms = Number.NEGATIVE_INFINITY;
  return async () => {
    if (clock.elapsed_ms() < next_ms) return heard;
    const idle = await ask();
    heard = 'known' in idle ? { known: clock.elapsed_ms() - idle.known } : idle;
    next_ms = clock.elapsed_ms() + every_ms * ('absent' in idle ? 100 : 1);
    return heard;
  };
}

/** Every key that a terminal reads moves its access time. Only that it moves is looked at: the wall clock may be set. */
function openTerminals(place: LinuxPlace): () => Heard {
  const { clock } = place;
  let newest_ms: number | null = null;
  let touched_ms = Number.NEGATIVE_INFINITY;
  return () => {
    const pts = namesNow(place, 'dev/pts')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => `dev/pts/${name}`);
    // Of the consoles only one is in front.
    const front = textNow(place, 'sys/class/tty/tty0/active')?.trim() ?? '';
    const ttys = /^tty\d+$/.test(front) ? [...pts, `dev/${front}`] : pts;
    const times = ttys.map((tty) => atimeNow(place, tty)).filter((time) => time !== null);
    if (times.length === 0) return { absent: 'no terminal' };
    const now_ms = Math.max(...times);
    if (newest_ms === null) touched_ms = clock.elapsed_ms() - Math.max(0, clock.now_ms() - now_ms);
    else if (now_ms > newest_ms) touched_ms = clock.elapsed_ms();
    newest_ms = now_ms;
    return { known: touched_ms };
  };
}

/** The controller of a laptop's keys and pad (i8042) interrupts at each of them. See proc(5), /proc/interrupts. */
function openInterrupts(place: LinuxPlace): () => Heard {
  let before = '';
  let touched_ms = Number.NEGATIVE_INFINITY;
  return () => {
    const counts = (textNow(place, 'proc/interrupts') ?? '')
      .split('\n')
      .filter((line) => /\bi8042\b/.test(line))
      .join();
    if (counts === '') return { absent: 'no i8042' };
    // Nobody knows how long ago the first ones were: they are taken as now.
    if (counts !== before) touched_ms = place.clock.elapsed_ms();
    before = counts;
    return { known: touched_ms };
  };
}

/** Mutter's answer: "(uint64 12345,)", in milliseconds. */
export function idleOfDesktop(said: Said): Signal<number> {
  if (!('text' in said)) return { absent: 'no GNOME' }; // no session, no bus, another desktop: others may tell
  const [, idle_ms] = /^\(uint64 (\d+),\)/.exec(said.text) ?? [];
  return idle_ms === undefined
    ? { unknown: `the desktop said "${said.text.slice(0, 60).trim()}"` }
    : { known: Number(idle_ms) };
}

/** logind's hint for the seat, see org.freedesktop.login1(5): a time of CLOCK_MONOTONIC in microseconds, of when it became idle. */
export function idleOfSeat(said: Said, uptime_ms: number): Signal<number> {
  if ('missing' in said) return { absent: 'no logind' };
  if ('failed' in said) return /did not answer/.test(said.failed) ? { unknown: said.failed } : { absent: 'no logind' };
  const [, hint] = /^IdleHint=(yes|no)$/m.exec(said.text) ?? [];
  const since_ms = Number(/^IdleSinceHintMonotonic=(\d+)$/m.exec(said.text)?.[1] ?? 0) / 1000;
  if (hint === undefined) return { unknown: `loginctl said "${said.text.slice(0, 60).trim()}"` };
  return { known: hint === 'no' ? 0 : Math.max(0, uptime_ms - since_ms) };
}

function uptimeOf(place: LinuxPlace): number {
  return Number.parseFloat(textNow(place, 'proc/uptime') ?? '0') * 1000;
}
