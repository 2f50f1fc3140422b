// STAND-IN until Yuma lands
export type RoundBonds = readonly (readonly [string, readonly (readonly [string, number])[]])[];
export function consensusOfRound(
  validators: readonly { readonly id: string; readonly stake: bigint }[],
  workers: readonly string[],
  scores: ReadonlyMap<string, ReadonlyMap<string, number>>,
  bonds: RoundBonds,
): { incentives: Map<string, bigint>; dividends: Map<string, bigint>; bonds: RoundBonds } {
  const all = validators.reduce((sum, { stake }) => sum + stake, 0n);
  const median = (worker: string): bigint => {
    let reached = 0n;
    const rows = validators.map(({ id, stake }) => ({ stake, weight: scores.get(id)?.get(worker) ?? 0 }));
    for (const { stake, weight } of rows.sort((a, b) => b.weight - a.weight)) {
      reached += stake;
      if (reached * 2n >= all) return BigInt(weight);
    }
    return 0n;
  };
  const incentives = new Map(workers.map((worker) => [worker, median(worker)]));
  const dividends = new Map(validators.map(({ id, stake }) => [id, stake]));
  return { incentives, dividends, bonds };
}
