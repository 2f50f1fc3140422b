// The demo's picture in the terminal: pure text from a status, drawn again in place.
import { styleText } from 'node:util';
import type { PeerView, RunStatus } from '../protocol/messages.ts';
import { formatBytes, formatCount } from './output.ts';

const SPARKS = '▁▂▃▄▅▆▇█';
const NAME_COLUMNS = 10;

/** One measured point: validation loss after so many merged rounds. */
export interface LossPoint {
  readonly merged_rounds: number;
  readonly loss: number;
}

/** A bar of `columns` cells, `part` of them full. */
export function bar(part: number, columns: number): string {
  const full = Math.round(Math.min(1, Math.max(0, part)) * columns);
  return '█'.repeat(full) + '░'.repeat(columns - full);
}

/** Values as a row of small columns, the lowest as the lowest; the newest `columns` of them. */
export function sparkline(values: readonly number[], columns: number): string {
  const shown = values.slice(-columns);
  const low = Math.min(...shown);
  const range = Math.max(...shown) - low || 1;
  return shown.map((value) => SPARKS[Math.round(((value - low) / range) * (SPARKS.length - 1))]).join('');
}

/** The picture of a run, line by line, at most `columns` wide. `steps` is how many a worker does at most in a round. */
export function renderRun(run: RunStatus, losses: readonly LossPoint[], steps: number, columns: number): string[] {
  const narrow = columns < 80;
  const dim = (text: string) => styleText('dim', text);
  const label = (text: string) => dim(text.padEnd(NAME_COLUMNS));
  const first = losses.at(0);
  const last = losses.at(-1);
  const loss =
    first && last
      ? `${first.loss.toFixed(3)} ${styleText(
          'cyan',
          sparkline(
            losses.map((point) => point.loss),
            narrow ? 16 : 40,
          ),
        )} ${styleText('bold', last.loss.toFixed(3))}`
      : 'the validator has not measured it yet';
  const ratio = run.bytes_submitted > 0 ? run.dense_bytes / run.bytes_submitted : 0;
  const left = run.phase === 'working' ? `, ${Math.ceil(run.remaining_ms / 1000)} s left at most` : '';
  const lines = [
    `${styleText('bold', run.name)}  ${dim(`run ${run.run.slice(0, 12)}`)}`,
    '',
    `${label('rounds')}${bar(run.round / run.rounds, narrow ? 16 : 32)} ${run.round} of ${run.rounds}  ${dim(run.phase + left)}`,
    `${label('loss')}${loss}  ${dim('on text that nobody trains on')}`,
    `${label('speed')}${formatCount(run.tokens_per_second)} tokens/s, ${formatCount(run.merged_tokens)} tokens learned`,
    `${label('sent')}${formatBytes(run.bytes_submitted)} ${dim(`dense float32 would be ${formatBytes(run.dense_bytes)}`)}${ratio > 0 ? `  ${styleText('bold', `${ratio.toFixed(0)}x less`)}` : ''}`,
    '',
  ];
  const credited = run.peers.reduce((sum, peer) => sum + peer.credit_tokens, 0);
  for (const peer of run.peers) lines.push(renderPeer(peer, steps, credited, narrow));
  return lines.map((line) => clip(line, columns));
}

function renderPeer(peer: PeerView, steps: number, credited: number, narrow: boolean): string {
  const name = peer.name.slice(0, NAME_COLUMNS - 1).padEnd(NAME_COLUMNS);
  if (!peer.present) return styleText('red', `${name}away`);
  const {
    state,
    steps: done,
    tokens_per_second,
  } = peer.progress ?? { state: 'waiting', steps: 0, tokens_per_second: 0 };
  const doing = state.padEnd(12);
  if (peer.role === 'validator') return `${name}${doing}${styleText('dim', 'checks the others')}`;
  const share = credited > 0 ? `${((100 * peer.credit_tokens) / credited).toFixed(0)} % of the work` : '';
  const training = state === 'training';
  const progress = `${bar(training ? done / steps : 0, narrow ? 8 : 20)} ${training ? `${done}/${steps}`.padEnd(8) : ' '.repeat(8)}`;
  const speed = (training ? `${formatCount(tokens_per_second)} tokens/s` : '').padEnd(16);
  return `${name}${doing}${progress}${narrow ? '' : speed}${styleText('dim', share)}`;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: that is how a terminal's colours begin
const COLOUR = /^\x1b\[[0-9;]*m/;

/** Cuts a line at so many visible characters; colours count as none. */
function clip(line: string, columns: number): string {
  let visible = 0;
  let result = '';
  for (let rest = line; rest !== ''; ) {
    const colour = COLOUR.exec(rest)?.[0];
    if (colour) {
      result += colour;
      rest = rest.slice(colour.length);
    } else {
      const character = String.fromCodePoint(rest.codePointAt(0)!);
      if (visible < columns) result += character;
      visible++;
      rest = rest.slice(character.length);
    }
  }
  return result;
}

/** A block of lines that is drawn over itself. */
export interface LiveBlock {
  draw(lines: readonly string[]): void;
  /** Leaves the last picture and goes below it. */
  end(): void;
}

export function liveBlock(stream: NodeJS.WriteStream): LiveBlock {
  let height = 0;
  return {
    draw(lines) {
      const shown = lines.slice(0, Math.max(1, stream.rows - 1));
      const up = height > 0 ? `\x1b[${height}A` : '';
      stream.write(`\x1b[?25l${up}\r\x1b[J${shown.join('\n')}\n`);
      height = shown.length;
    },
    end() {
      if (height > 0) stream.write('\x1b[?25h');
      height = 0;
    },
  };
}
