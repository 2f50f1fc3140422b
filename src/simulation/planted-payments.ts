// Faults of one line in how answers are charged and paid: a history of paid answers, or a test beside the source, finds each.
import type { PlantedFault } from './planted-rules.ts';

const CLAIMS = 'hub/serving/claim-check.ts';
const PAYMENTS = 'hub/serving/payments.ts';
const RECEIPTS = 'hub/serving/receipts.ts';
const OF_PAYMENTS = 'hub/serving/payments.test.ts';
const OF_SEVERAL = 'hub/serving/several-gateways.test.ts';
const LIES = [OF_PAYMENTS, 'that says what the hub has not seen ends the lease'] as const;

export const PAYMENT_FAULTS: readonly PlantedFault[] = [
  {
    name: 'a-batch-is-formed-before-all-are-noted',
    file: RECEIPTS,
    find: 'others !== undefined && !this.#knowsAll',
    replace: 'others === null',
    by: null,
    unit: [OF_SEVERAL, 'every receipt is in one batch'],
  },
  {
    name: 'what-an-account-cannot-pay-holds-up-all',
    file: RECEIPTS,
    find: 'if (micro > creditLeft(sequencer.state, receipt.caller)) continue;',
    replace: '',
    by: null,
    unit: [OF_SEVERAL, 'credit that one gateway holds'],
  },
  {
    name: 'credit-that-another-gateway-holds-is-spent',
    file: RECEIPTS,
    find: '(this.#options.others?.heldOf(account) ?? 0)',
    replace: '0',
    by: null,
    unit: [OF_SEVERAL, 'credit that one gateway holds'],
  },
  {
    name: 'the-price-of-a-claim-is-believed',
    file: CLAIMS,
    find: 'if (earns_micro !== earned_micro) return',
    replace: 'if (earns_micro < earned_micro) return',
    by: 'paid',
    unit: LIES,
  },
  {
    name: 'the-prompt-of-a-claim-is-believed',
    file: CLAIMS,
    find: 'input_tokens !== seen.input_tokens',
    replace: 'input_tokens < seen.input_tokens',
    by: null,
    unit: LIES,
  },
  {
    name: 'a-claim-of-another-key',
    file: CLAIMS,
    find: "['device', 'gateway',",
    replace: "['gateway',",
    by: null,
    unit: [OF_PAYMENTS, 'is of its device alone'],
  },
  {
    name: 'a-claim-of-another-part',
    file: CLAIMS,
    find: "'request', 'part', 'model'",
    replace: "'request', 'model'",
    by: 'paid',
    unit: LIES,
  },
  {
    name: 'the-prompt-is-paid-to-each-part',
    file: PAYMENTS,
    find: 'input_tokens: from === 0 ? (prompt_tokens ?? 0) : 0',
    replace: 'input_tokens: prompt_tokens ?? 0',
    by: 'paid',
    unit: [OF_PAYMENTS, 'is paid by its last claim where it was killed'],
  },
  {
    name: 'credit-stays-held',
    file: PAYMENTS,
    find: 'if (this.#closed) this.held?.hold(',
    replace: 'if (this.#closed && this.held === null) this.held!.hold(',
    by: 'paid',
    unit: [OF_PAYMENTS, 'costs its caller what its device asks'],
  },
  {
    name: 'the-first-claim-counts',
    file: PAYMENTS,
    find: 'part.newest = { bytes, output_tokens, earns_micro };',
    replace: 'part.newest ??= { bytes, output_tokens, earns_micro };',
    by: 'paid',
    unit: [OF_PAYMENTS, 'is paid by its last claim where it was killed'],
  },
  {
    name: 'claims-of-what-was-not-taken',
    file: PAYMENTS,
    find: 'if (part.over && claim.output_tokens > part.over.took) return null;',
    replace: '',
    by: null,
    unit: [OF_PAYMENTS, 'that was on its way when the lease ended'],
  },
  {
    name: 'paid-before-the-verdict',
    file: PAYMENTS,
    find: 'if (!over || !claimed || !decided || paid) return;',
    replace: 'if (!over || !claimed || paid) return;',
    by: null,
    unit: [OF_PAYMENTS, 'decides whether a part is paid'],
  },
  {
    name: 'the-refused-are-paid',
    file: PAYMENTS,
    find: 'if (refused) this.#drop(part);',
    replace: 'if (refused && part.paid) this.#drop(part);',
    by: null,
    unit: [OF_PAYMENTS, 'decides whether a part is paid'],
  },
  {
    name: 'what-is-held-is-spent-twice',
    file: RECEIPTS,
    find: 'held?.spend(receipt.charge_micro);',
    replace: '',
    by: null,
    unit: ['hub/serving/receipts.test.ts', 'is never spent twice, however many answers'],
  },
  {
    name: 'a-kill-settles-again',
    file: 'hub/serving/noted-batches.ts',
    find: 'file.settle({ number, entry, blob, parts: all.map(servedPart) });',
    replace: 'file.settle({ number, entry, blob, parts: all.slice(1).map(servedPart) });',
    by: 'paid',
    unit: ['hub/serving/receipts.test.ts', 'after the event and before it is noted settles nothing'],
  },
];
