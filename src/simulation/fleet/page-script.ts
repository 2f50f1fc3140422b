// What the page of a fleet does in a browser: it draws a result, and one that is opened or dropped in its place. page.ts writes these functions
// into the page as they stand, without types; so they use nothing but each other and the browser.
import type { FleetResult } from './result.ts';

interface ChartLine {
  readonly name: string;
  readonly values: readonly number[];
  /** A colour of the page's, by its name in CSS. */
  readonly ink: string;
}
interface Chart {
  readonly title: string;
  readonly unit: string;
  readonly lines: readonly ChartLine[];
  /** Whether the vertical axis begins at zero. */
  readonly from_zero: boolean;
  readonly words: (index: number) => string;
}

export function shortNumber(value: number): string {
  const step = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)) / 3 + 1e-9);
  const at = Math.max(0, Math.min(6, step));
  const text = String(Number((value / 1000 ** at).toPrecision(3)));
  return at === 0 ? text : `${text} ${' kMGTPE'[at]}`;
}

/** Round numbers from one end of a range to the other, some five of them. */
export function ticksOf(from: number, to: number): number[] {
  const span = to - from || 1;
  const rough = span / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? rough;
  const ticks: number[] = [];
  for (let at = Math.ceil(from / step - 1e-9) * step; at <= to + step * 1e-9; at += step) ticks.push(at);
  return ticks;
}

/** The mean of each hour of the day. */
export function meanDay(values: readonly number[]): number[] {
  return Array.from({ length: Math.min(24, values.length) }, (_, hour) => {
    const of = values.filter((_value, i) => i % 24 === hour);
    return of.reduce((sum, value) => sum + value, 0) / of.length;
  });
}

/** An element with attributes and children; text is text and never markup. */
export function made(
  name: string,
  attributes: Record<string, string | number> = {},
  ...children: (Node | string)[]
): Element {
  const isSvg = ['svg', 'g', 'path', 'line', 'text', 'rect'].includes(name);
  const element = isSvg ? document.createElementNS('http://www.w3.org/2000/svg', name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

/** Which places of so many have a word below them: every sixth hour of a day, and of more every some days. */
export function labelsOf(length: number, width: number): number[] {
  const steps = [6, 12, 24, 48, 168, 336, 720, 2160, 8760];
  const most = Math.max(2, Math.floor(width / 70));
  const step = steps.find((size) => length / size <= most) ?? length;
  return Array.from({ length: Math.ceil(length / step) }, (_, i) => i * step);
}

/** The lines of a chart between its axes. */
export function plotOf(chart: Chart, width: number): Element {
  const frame = { left: 58, top: 8, width: width - 66, height: 168 };
  const length = Math.max(...chart.lines.map(({ values }) => values.length));
  const all = chart.lines.flatMap(({ values }) => [...values]);
  const low = chart.from_zero ? 0 : Math.min(...all);
  const high = Math.max(...all, low + 1e-9);
  const x = (i: number): number => frame.left + (length > 1 ? (i / (length - 1)) * frame.width : frame.width / 2);
  const y = (value: number): number => frame.top + frame.height - ((value - low) / (high - low)) * frame.height;
  const summary = chart.lines.map(
    ({ name, values }) => `${name} ${shortNumber(Math.min(...values))} to ${shortNumber(Math.max(...values))}`,
  );
  const svg = made('svg', {
    width,
    height: 206,
    role: 'img',
    'aria-label': `${chart.title}, ${chart.unit}: ${summary.join('; ')}`,
  });
  for (const tick of ticksOf(low, high)) {
    svg.append(made('line', { x1: frame.left, x2: frame.left + frame.width, y1: y(tick), y2: y(tick), class: 'grid' }));
    svg.append(made('text', { x: frame.left - 8, y: y(tick) + 4, 'text-anchor': 'end' }, shortNumber(tick)));
  }
  for (const at of labelsOf(length, frame.width)) {
    const anchor = at === 0 ? 'start' : at === length - 1 ? 'end' : 'middle';
    svg.append(made('text', { x: x(at), y: 200, 'text-anchor': anchor }, chart.words(at)));
  }
  for (const { values, ink } of chart.lines) {
    const path = values.map((value, i) => `${i === 0 ? 'M' : 'L'}${x(i).toFixed(1)} ${y(value).toFixed(1)}`).join('');
    svg.append(
      made('path', { d: path, fill: 'none', stroke: `var(${ink})`, 'stroke-width': 2, 'stroke-linejoin': 'round' }),
    );
  }
  return svg;
}

/** A chart with its legend, which tells the values under the pointer. */
export function figureOf(chart: Chart, width: number): Element {
  const legend = made('p', { class: 'legend' });
  const tell = (index: number | null): void => {
    const items = chart.lines.map(({ name, values, ink }) => {
      const said = index === null ? name : `${name} ${shortNumber(values[index])}`;
      return made('span', {}, made('i', { style: `background:var(${ink})` }), said);
    });
    legend.replaceChildren(...items, ...(index === null ? [] : [made('span', { class: 'muted' }, chart.words(index))]));
  };
  tell(null);
  const svg = plotOf(chart, width);
  const length = Math.max(...chart.lines.map(({ values }) => values.length));
  svg.addEventListener('pointermove', (event) => {
    const at = ((event as PointerEvent).clientX - svg.getBoundingClientRect().left - 58) / (width - 66);
    tell(Math.max(0, Math.min(length - 1, Math.round(at * (length - 1)))));
  });
  svg.addEventListener('pointerleave', () => tell(null));
  return made(
    'figure',
    {},
    made('figcaption', {}, chart.title, ' ', made('span', { class: 'muted' }, chart.unit)),
    legend,
    svg,
  );
}

/** The charts of a result, by the hour of a mean day or by every hour. */
export function chartsOf(result: FleetResult, all_hours: boolean): Chart[] {
  const { hours, tokens } = result;
  const shown = (values: readonly number[]): readonly number[] => (all_hours ? values : meanDay(values));
  const words = (index: number): string => (all_hours ? `day ${(index / 24).toFixed(1)}` : `${index}:00`);
  const line = (name: string, values: readonly number[], ink: string): ChartLine => ({
    name,
    values: shown(values),
    ink,
  });
  const chart = (title: string, unit: string, lines: ChartLine[], from_zero = true): Chart => ({
    title,
    unit,
    lines,
    from_zero,
    words,
  });
  return [
    chart('Learned from', 'tokens a second', [
      line('merged', hours.tokens_per_s, '--dish-0'),
      line('useful', hours.useful_tokens_per_s, '--dish-2'),
    ]),
    ...(tokens.asked > 0
      ? [
          chart('Answered', 'tokens a second', [
            line('asked for', hours.asked_tokens_per_s, '--dish-rest'),
            line('served', hours.served_tokens_per_s, '--dish-1'),
          ]),
        ]
      : []),
    chart('Devices', 'at once', [line('lent', hours.present, '--dish-4'), line('train', hours.workers, '--dish-1')]),
    chart('Power', 'watts beyond idle', [
      line(
        'computing',
        hours.kw.map((kw) => kw * 1000),
        '--dish-3',
      ),
    ]),
    chart('A round', 'seconds', [line('length', hours.round_s, '--dish-5')]),
    chart('Events', 'a second, of all runs', [line('events', hours.events_per_s, '--dish-6')]),
    chart('Bytes at the hub', 'a second, in and out', [line('bytes', hours.hub_bytes_per_s, '--dish-4')]),
    ...(all_hours ? [chart('Loss', 'nats a token', [line('loss', hours.loss, '--dish-0')], false)] : []),
  ];
}

/** Large figures at the top. */
export function figuresOf(result: FleetResult): Element {
  const { tokens, loss, energy, rounds, finished_after_days, days, needs } = result;
  const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;
  const wasted = tokens.merged > 0 ? tokens.beyond_critical / tokens.merged : 0;
  const rows: [string, string, string][] = [
    [
      shortNumber(tokens.per_s),
      'tokens a second',
      finished_after_days === null
        ? `not finished after ${days.toFixed(0)} days`
        : `finished after ${finished_after_days.toFixed(1)} days`,
    ],
    [
      loss.loss.toFixed(3),
      'nats a token',
      `from ${loss.low.toFixed(3)} to ${loss.high.toFixed(3)}${loss.guesses.length > 0 ? '; a guess' : ''}`,
    ],
    [percent(wasted), 'wasted', 'by batches beyond the critical one'],
    [percent(rounds.lost_share), 'of rounds lost', 'by those who left before'],
    [
      `${shortNumber(energy.kwh_per_billion_tokens * 1000)}Wh`,
      'for 10^9 tokens',
      `${shortNumber(energy.eur_per_billion_tokens)} €, ${shortNumber(energy.kg_co2_per_billion_tokens)} kg of CO2`,
    ],
    [
      `${shortNumber(needs.front_ends)}`,
      'front ends',
      `${shortNumber(needs.logs)} logs, ${shortNumber(result.judging.judges_needed)} judges at once`,
    ],
  ];
  return made(
    'div',
    { class: 'figures' },
    ...rows.map(([value, unit, more]) =>
      made('div', {}, made('b', {}, value), made('span', {}, unit), made('small', {}, more)),
    ),
  );
}

/** A table that may be wider than the window, and then scrolls by itself. */
export function tableOf(headings: string[], rows: string[][]): Element {
  const cells = (name: string, row: string[]): Element =>
    made('tr', {}, ...row.map((cell) => made(name, name === 'th' ? { scope: 'col' } : {}, cell)));
  const table = made(
    'table',
    {},
    made('thead', {}, cells('th', headings)),
    made('tbody', {}, ...rows.map((row) => cells('td', row))),
  );
  return made(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': `Table: ${headings.join(', ')}` },
    table,
  );
}

/** What each class does with its time, as a bar, and what it earns. */
export function classesOf({ classes }: FleetResult): Element[] {
  const inks: Record<string, string> = {
    training: '--dish-0',
    judging: '--dish-1',
    serving: '--dish-4',
    downloading: '--dish-3',
    uploading: '--dish-6',
    catching_up: '--dish-7',
    lost: '--dish-5',
    waiting: '--dish-rest',
    idle: '--line',
  };
  const bars = classes.map(({ name, time_shares }) => {
    const parts = Object.entries(inks).map(([what, ink]) => {
      const share = time_shares[what as keyof typeof time_shares];
      return made('span', {
        style: `width:${100 * share}%;background:var(${ink})`,
        title: `${what.replace('_', ' ')} ${(100 * share).toFixed(1)} %`,
      });
    });
    return made(
      'div',
      { class: 'bar' },
      made('span', { class: 'name' }, name),
      made('div', { class: 'parts' }, ...parts),
    );
  });
  const legend = made(
    'p',
    { class: 'legend' },
    ...Object.entries(inks).map(([what, ink]) =>
      made('span', {}, made('i', { style: `background:var(${ink})` }), what.replace('_', ' ')),
    ),
  );
  const rows = classes.map((one) => [
    ...[
      one.name,
      shortNumber(one.devices),
      shortNumber(one.present),
      `${shortNumber(one.kwh * 1000)}Wh`,
      `${shortNumber(one.eur_electricity)} €`,
    ],
    ...[
      `${shortNumber(one.kg_co2 / 1000)} t`,
      `${shortNumber(one.eur_income)} €`,
      `${shortNumber(one.eur_net)} €`,
      `${one.eur_net_a_device_day.toFixed(3)} €`,
    ],
  ]);
  const headings = [
    'class',
    'devices',
    'lent at once',
    'energy',
    'electricity',
    'CO2',
    'income',
    'net',
    'net a device and day',
  ];
  return [
    made('h2', {}, 'What devices do while they are lent'),
    legend,
    ...bars,
    made('h2', {}, 'What they earn'),
    tableOf(headings, rows),
  ];
}

/** What a guess is, and what the product would refuse. */
export function warningsOf({ loss, beyond_limits }: FleetResult): Element[] {
  const list = (title: string, lines: readonly string[]): Element[] =>
    lines.length === 0 ? [] : [made('h2', {}, title), made('ul', {}, ...lines.map((text) => made('li', {}, text)))];
  return [
    ...list('The loss is a guess beyond what was measured', loss.guesses),
    ...list('Beyond what the product takes today', beyond_limits),
  ];
}

/** Shows a result in place of what is shown. */
export function show(result: FleetResult): void {
  const main = document.querySelector('main')!;
  let all_hours = false;
  document.title = result.fleet;
  const charts = made('div', { class: 'charts' });
  const draw = (): void => {
    const columns = main.clientWidth >= 700 ? 2 : 1;
    const width = Math.floor((main.clientWidth - (columns - 1) * 32) / columns);
    charts.replaceChildren(...chartsOf(result, all_hours).map((chart) => figureOf(chart, width)));
  };
  const choice = (text: string, all: boolean): Element => {
    const button = made('button', { type: 'button', 'aria-pressed': String(all === all_hours) }, text);
    button.addEventListener('click', () => {
      all_hours = all;
      for (const other of button.parentElement!.children) other.setAttribute('aria-pressed', String(other === button));
      draw();
    });
    return button;
  };
  main.replaceChildren(
    ...[made('h1', {}, result.fleet), made('p', { class: 'about' }, result.about), figuresOf(result)],
    ...[made('p', { class: 'choice' }, choice('A mean day, UTC', false), choice('Every hour', true)), charts],
    ...[...classesOf(result), ...warningsOf(result)],
  );
  draw();
  window.onresize = draw;
}

/** Reads a result that somebody opens or drops; says so where it is none. */
export async function openFile(file: File | undefined): Promise<void> {
  if (!file) return;
  const said = document.querySelector('#said')!;
  try {
    const result = JSON.parse(await file.text());
    if (result.type !== 'fleet' || result.version !== 1) throw new Error('it is not a fleet of version 1');
    show(result);
    said.textContent = '';
  } catch (error) {
    said.textContent = `${file.name}: expected the JSON that --json writes; ${error instanceof Error ? error.message : error}`;
  }
}

/** Begins: shows what the page brings, and waits for files. */
export function begin(): void {
  show(JSON.parse(document.querySelector('#result')!.textContent!));
  const input = document.querySelector<HTMLInputElement>('input[type=file]')!;
  input.onchange = () => void openFile(input.files?.[0]);
  document.body.ondragover = (event) => event.preventDefault();
  document.body.ondrop = (event) => {
    event.preventDefault();
    void openFile(event.dataTransfer?.files[0]);
  };
}
