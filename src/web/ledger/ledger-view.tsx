// PLACEHOLDER
export function LedgerView() {
  return <h1>Ledger</h1>;
}
