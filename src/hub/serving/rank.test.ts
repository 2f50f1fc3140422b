// Which device writes an answer: the order in which what is known of them decides, a line a rule.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bestDevice, type DeviceKnown, type WorkKnown } from './rank.ts';

const device = (id: string, more: Partial<DeviceKnown> = {}): DeviceKnown => ({
  ...{ id, class: 'own cpu', places: 1, free_tokens: 4096, context_tokens: 4096, round_trip_ms: 50, success: 1 },
  ...{ speed: { first_ms_per_token: 10, gap_ms: 50 }, warm: false, price: 0, near: false, away: false },
  ...{ silent: false, was_late: false, last_given_ms: 0 },
  ...more,
});
const WORK: WorkKnown = {
  ...{ read_tokens: 100, left_tokens: 100, class: null },
  usual: { first_ms_per_token: 10, gap_ms: 50 },
};
const best = (devices: DeviceKnown[], more: Partial<WorkKnown> = {}): string | undefined =>
  bestDevice(devices, { ...WORK, ...more })?.id;
const FAST = { first_ms_per_token: 1, gap_ms: 5 };

describe('the best device', () => {
  test('is one of the gateway’s own region while any there has room, however fast, cheap and near others are', () => {
    const far = device('far', { away: true, speed: FAST, near: true, warm: true, round_trip_ms: 1 });
    const own = device('own', { price: 1000, last_given_ms: 9, success: 0.2 });
    assert.equal(best([far, own]), 'own');
    // Also where an answer would go on in another class of arithmetic.
    assert.equal(best([far, device('other', { class: 'gpu' })], { class: 'own cpu' }), 'other');
  });

  test('is one of another region where the own ones are full, silent, too small for the prompt, or were late with this very answer', () => {
    const far = device('far', { away: true });
    for (const more of [
      { places: 0 },
      { free_tokens: 150 },
      { silent: true },
      { context_tokens: 90, free_tokens: 90 },
      { was_late: true },
    ]) {
      assert.equal(best([device('own', more), far]), 'far', JSON.stringify(more));
    }
    assert.equal(best([device('own', { was_late: true }), { ...far, places: 0 }]), 'own', 'better than none');
    assert.equal(best([{ ...far, places: 0 }]), undefined);
  });

  test('among those of other regions, is chosen as among the own ones', () => {
    const away = { away: true };
    assert.equal(best([device('slow', away), device('fast', { ...away, speed: FAST })]), 'fast');
    assert.equal(best([device('dear', { ...away, price: 2 }), device('cheap', { ...away, price: 1 })]), 'cheap');
  });

  test('of equally fast ones is the cheaper, then the one that is where the caller is, then the one that has waited longest', () => {
    const [a, b] = [device('a', { price: 2 }), device('b', { price: 1 })];
    assert.equal(best([a, b]), 'b');
    assert.equal(best([device('a'), device('b', { near: true })]), 'b');
    assert.equal(best([device('a', { last_given_ms: 5 }), device('b', { last_given_ms: 4 })]), 'b');
    assert.equal(best([device('b'), device('a')]), 'a');
  });
});
