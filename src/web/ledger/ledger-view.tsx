// This view is not in this build yet.
export function LedgerView() {
  return <p class="loading">Not available in this build.</p>;
}
