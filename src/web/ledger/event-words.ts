// An event of the log as a sentence, with who did it: for people who do not read field names.
import { decodeEvent } from '../../core/codec.ts';
import type { EventBody, LoggedEvent } from '../../core/events.ts';
import { openEvent } from '../../protocol/envelope.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import { countOf, formatBytes, formatLoss, formatWhole, nameOf, runtimeName, short } from '../shell/format.ts';

/** An entry opened as far as it goes. Its signature is not verified: that is done where one looks at it. */
export interface Entry {
  readonly index: number;
  readonly bytes: Uint8Array;
  /** null: the bytes are no event that this page knows. */
  readonly event: LoggedEvent | null;
  /** Why it could not be read. */
  readonly problem: string | null;
}

export function openEntry(bytes: Uint8Array, index: number): Entry {
  try {
    return { index, bytes, event: decodeEvent(bytes, { verify_signature: false }), problem: null };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { index, bytes, event: null, problem: error.message };
  }
}

/** The raw fields of an entry, also of a type that this page does not know. */
export function fieldsOf(bytes: Uint8Array): Record<string, unknown> {
  try {
    return openEvent(bytes, { verify_signature: false }).body;
  } catch {
    return {};
  }
}

/** What kinds of events there are for people: what they are shown under. */
export type Kind = 'run' | 'device' | 'work' | 'verdict' | 'model' | 'shares' | 'clock' | 'unknown';

const KINDS: Readonly<Record<EventBody['type'], Kind>> = {
  'run.created': 'run',
  'run.paused': 'run',
  'run.resumed': 'run',
  'run.ended': 'run',
  'run.halted': 'run',
  'round.opened': 'run',
  'peer.joined': 'device',
  'peer.left': 'device',
  'device.bound': 'device',
  'device.revoked': 'device',
  'account.address': 'shares',
  'work.submitted': 'work',
  'round.drawn': 'verdict',
  'verdict.sealed': 'verdict',
  'verdict.given': 'verdict',
  'verdict.contested': 'verdict',
  'plant.revealed': 'verdict',
  'rules.proposed': 'run',
  'model.evaluated': 'model',
  'round.merged': 'model',
  'shares.stated': 'shares',
  'stake.locked': 'shares',
  'stake.released': 'shares',
  'payout.settled': 'shares',
  tick: 'clock',
};

export const kindOf = (entry: Entry): Kind => (entry.event && KINDS[entry.event.body.type]) ?? 'unknown';

/** Names of keys, where the page has heard them. */
export type Names = (key: string) => string;

/** How a peer's stay ended, after its name and "left". */
const LEAVING = {
  goodbye: '',
  'connection lost': ': its connection was lost',
  'hub restarted': ': the hub was started again',
} as const;

/** The event as a sentence. */
export function sentenceOf({ event, problem }: Entry, name: Names): string {
  if (!event) return `not readable: ${problem}`;
  const { body, author } = event;
  const who = name(author);
  switch (body.type) {
    case 'run.created':
      return `${who} started the run “${nameOf(body.name)}”: ${countOf(body.rounds, 'round')} of “${body.game}”`;
    case 'run.paused':
      return `${who} paused the run ${body.version === 1 ? 'in' : 'after'} round ${body.round}`;
    case 'run.resumed':
      return `${who} let the run go on from round ${body.round}`;
    case 'run.ended':
      return `${who} ended the run ${body.version === 1 ? 'in' : 'after'} round ${body.round}, for good`;
    case 'run.halted':
      return `the hub paused the run before round ${body.round}, because its loss stays far above its best`;
    case 'peer.joined':
      return `${nameOf(body.name)} joined as a ${body.role}, computing on ${runtimeName(body.runtime)}`;
    case 'peer.left':
      return `${name(body.peer)} left${LEAVING[body.reason]}`;
    case 'device.bound':
      return `${who} now works for its owner`;
    case 'device.revoked':
      return `${who} no longer vouches for ${name(body.device)}`;
    case 'tick':
      return `the hub's clock: ${new Date(body.time_ms).toLocaleString('en-GB')}`;
    case 'round.opened':
      return `round ${body.round} opened${body.attempt > 0 ? `, attempt ${body.attempt + 1}` : ''}`;
    case 'work.submitted':
      return `${who} handed in ${countOf(body.steps, 'step')} over ${countOf(body.tokens, 'token')}, in ${formatBytes(body.size_bytes)}`;
    case 'round.drawn':
      return `the work of round ${body.round} is in, and its judges are drawn`;
    case 'verdict.sealed':
      return `${who} has judged the ${body.contest === undefined ? '' : 'contested '}work ${short(body.submission)}, and keeps the verdict sealed until all have`;
    case 'plant.revealed':
      return `${who} revealed the work ${short(body.submission)} as a test of the judges, who should have ${body.accepted ? 'accepted' : 'refused'} it`;
    case 'rules.proposed':
      return `${who} proposed other rules from round ${body.from_round} on`;
    case 'verdict.given': {
      const change = body.loss_before_micro - body.loss_after_micro;
      // A verdict that measured nothing has no losses to compare.
      const effect =
        change === 0 ? '' : `: the loss goes ${change > 0 ? 'down' : 'up'} by ${formatLoss(Math.abs(change))}`;
      return `${who} ${body.accepted ? 'accepted' : 'refused'} the ${body.contest === undefined ? '' : 'contested '}work ${short(body.submission)}${effect}`;
    }
    case 'verdict.contested':
      return `${who} contested what was decided about the work ${short(body.submission)}: everybody who may judge repeats it`;
    case 'model.evaluated':
      return `${who} measured a validation loss of ${formatLoss(body.loss_micro)} after ${countOf(body.merged_rounds, 'round')}`;
    case 'round.merged':
      return body.bundle === null
        ? `round ${body.round} brought nothing that could be merged`
        : `round ${body.round} merged ${countOf(body.accepted.length, 'update')} into model ${short(body.model)}`;
    case 'shares.stated':
      return `the hub stated who holds the ${countOf(body.shares, 'share')} of ${countOf(body.merged_rounds, 'round')}: ${countOf(body.accounts, 'account')}`;
    case 'account.address':
      return `${who} named an address to be settled at`;
    case 'stake.locked':
      return `${who} put ${countOf(body.shares, 'share')} behind the verdicts of ${name(body.behind)}`;
    case 'stake.released':
      return `${who} asked for ${formatWhole(body.shares)} of its shares behind ${name(body.behind)} back`;
    case 'payout.settled':
      return `${who} said that ${countOf(body.total, 'share')} were paid out elsewhere`;
  }
}
