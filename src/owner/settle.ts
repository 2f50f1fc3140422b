// The file of a settlement, in the form that EVM distributor contracts' tools read: Uniswap's MerkleDistributor or OpenZeppelin's StandardMerkleTree.
import { bytesToHex } from '@noble/hashes/utils.js';
import { OwnershipError } from '../audit/ownership-errors.ts';
import { chooseLoggedRun, replayLog } from '../audit/ownership-log.ts';
import type { PayoutSettled, SettlementFormat } from '../core/events/payout-settled.ts';
import { allBalances, type ShareBalance } from '../core/shares/balances.ts';
import {
  type Balance,
  type Settleable,
  settleable,
  settlementProof,
  settlementRoot,
  settlementTree,
} from '../core/shares/settlement.ts';
import type { NetworkState, RunState } from '../core/state.ts';
import { sendEvent } from '../peer/send-event.ts';
import { signEvent } from '../protocol/envelope.ts';
import type { Identity } from '../protocol/identity.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { checksummedAddress } from './ownership.ts';

const hex = (value: bigint): string => `0x${value.toString(16)}`;
const hash = (bytes: Uint8Array): string => `0x${bytesToHex(bytes)}`;

/** The file of a settlement, in the words of the tools that read it. Throws OwnershipError `nothing-to-settle`. */
export function settlementFile(format: SettlementFormat, balances: readonly Balance[]): object {
  if (balances.length === 0) {
    throw new OwnershipError(
      'nothing-to-settle',
      'nobody who has named an address holds free shares: potluck id address 0x… --hub URL; potluck shares RUN',
    );
  }
  const tree = settlementTree(format, balances);
  const nodes = tree.nodes.map(hash);
  if (format === 'standard-merkle-tree') {
    const values = balances.map(({ index, address, amount }, i) => ({
      value: [String(index), checksummedAddress(address), String(amount)],
      treeIndex: tree.places[i],
    }));
    const leafEncoding = ['uint256', 'address', 'uint256'];
    return { root: nodes[0], tree: { format: 'standard-v1', leafEncoding, tree: nodes, values } };
  }
  const claims = balances.map(({ index, address, amount, accounts }, i) => [
    checksummedAddress(address),
    { index, amount: hex(amount), proof: settlementProof(tree, i).map(hash), accounts },
  ]);
  return {
    merkleRoot: nodes[0],
    tokenTotal: hex(balances.reduce((sum, { amount }) => sum + amount, 0n)),
    claims: Object.fromEntries(claims),
  };
}

/** How often a settlement is computed again because balances changed before it was in the log. A round takes longer than a replay. */
const RECORD_TRIES = 5;

/** A run's balances after a prefix of the log. */
export interface Settlement extends Settleable {
  /** The fields of the event that the run's owner signs; `root` and `total` follow from the log. */
  readonly statement: Omit<PayoutSettled, 'reference'>;
  readonly model: string;
  readonly merged_rounds: number;
  /** The sums over all holders; `free` is what this settles plus what has no address. */
  readonly sums: ShareBalance;
  readonly unearned_shares: number;
  readonly hub: string;
  readonly checkpoint: string;
  readonly warning: string | null;
  /** For the tools of the format. */
  readonly file: object;
}

/**
 * What a run's holders can be paid elsewhere, computed at the signed head of a log.
 * @param where the address of a hub, or its folder
 * @param wanted the beginning of the run's id; not needed where the log has one run
 * Throws OwnershipError `nothing-to-settle`, `unknown-run`, `bad-log`, PublicLogError, AuditFailure.
 */
export async function settlementOf(
  where: string,
  wanted: string | undefined,
  format: SettlementFormat,
): Promise<Settlement> {
  const { state, hub, checkpoint, warning } = await replayLog(where);
  return { ...settlementAt(state, chooseLoggedRun(state, wanted), format), hub, checkpoint, warning };
}

/**
 * A settlement that is in the log already, computed again from the log as it was then, so that everybody can make their claim.
 * Throws OwnershipError `not-settled`, and what `settlementOf` throws.
 */
export async function recordedSettlement(
  where: string,
  wanted: string | undefined,
  number: number,
): Promise<Settlement> {
  const statements = new Map<string, PayoutSettled>();
  const { state } = await replayLog(where, ({ body }) => {
    if (body.type === 'payout.settled') statements.set(`${body.run} ${body.settlement}`, body);
  });
  const { id, settlements } = chooseLoggedRun(state, wanted);
  const stated = statements.get(`${id} ${number}`);
  if (!stated) {
    throw new OwnershipError('not-settled', `run ${id.slice(0, 12)} has ${settlements} settlements, none is ${number}`);
  }
  const found: Computed[] = [];
  const { hub, checkpoint, warning } = await replayLog(where, (_event, index, _bytes, then) => {
    if (index === stated.log_size - 1) found.push(settlementAt(then, then.runs.get(id)!, stated.format));
  });
  return { ...found[0], hub, checkpoint, warning };
}

type Computed = Omit<Settlement, 'hub' | 'checkpoint' | 'warning'>;

function settlementAt(state: NetworkState, run: RunState, format: SettlementFormat): Computed {
  const found = settleable(state, run);
  const file = settlementFile(format, found.balances);
  const { id, model, round: merged_rounds, settlements: settlement, unearned_shares } = run;
  const root = settlementRoot(format, found.balances);
  // Beyond 2^53 the core accepts no statement, because a number in an event must be exact; the file contains every share all the same.
  const statement = { run: id, settlement, log_size: state.events, format, root, total: Number(found.total) };
  const sums = { held: 0, settled: 0, locked: 0, withheld: 0, free: 0 };
  for (const balance of allBalances(run).values()) {
    for (const kind of ['held', 'settled', 'locked', 'withheld', 'free'] as const) sums[kind] += balance[kind];
  }
  return {
    ...found,
    ...{ statement: { type: 'payout.settled', version: 1, ...statement }, sums },
    ...{ model, merged_rounds, unearned_shares, file },
  };
}

/**
 * States in the log that a settlement is paid out; the next one covers only what comes after it. If balances changed meanwhile, it is
 * computed again.
 * @param keep is given each settlement before it is stated, because the owner of a stated root must not lose its tree
 * @returns what was stated, and the id of its event
 * Throws what `settlementOf` throws, PeerError.
 */
export async function recordSettlement(
  url: string,
  owner: Identity,
  computed: Settlement,
  reference: string | undefined,
  keep: (settlement: Settlement) => Promise<void>,
): Promise<{ readonly recorded: Settlement; readonly event: string }> {
  let recorded = computed;
  for (let tries = 1; ; tries++) {
    const { statement } = recorded;
    await keep(recorded);
    const body: PayoutSettled = reference === undefined ? statement : { ...statement, reference };
    try {
      return { recorded, event: await sendEvent(url, await signEvent(owner, body)) };
    } catch (error) {
      const stale = error instanceof PeerError && error.is('refused') && error.details.refusal === 'stale-settlement';
      if (!stale || tries === RECORD_TRIES) throw error;
      recorded = await settlementOf(url, statement.run, statement.format);
    }
  }
}
