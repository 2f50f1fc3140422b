// bench worth: some days of a tariff earn nearly what foresight would have, no day ends below zero, and receipts say the same.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawMonth, foresee, live } from './worth-month.ts';

for (const tariff of ['night', 'spiky'] as const) {
  test(`${tariff}: three days`, () => {
    const month = drawMonth(tariff, '1', 3);
    const [foreseen, lived] = [foresee(month), live(month)];
    assert.ok(lived.net >= 0.9 * foreseen && lived.net <= foreseen, `${lived.net} of ${foreseen}`); // the first day teaches it
    assert.ok(lived.worst_day >= 0 && lived.worst_receipt >= 0, JSON.stringify(lived));
    assert.ok(Math.abs(lived.receipts_net - lived.net) < 1e-4, 'receipts say what is true');
    assert.ok(lived.worked_hours > 5 && lived.worked_hours < 66, `${lived.worked_hours} hours`);
    assert.ok(lived.pauses < 40, `${lived.pauses} pauses`);
  });
}
