// What a tab is downloading or uploading, how much of it is done, and what is in the way.
import { formatBytes } from '../shell/format.ts';
import type { ContributionState } from '../tab/state.ts';

export function TransferBar({ loading, transfer, transfer_of }: ContributionState) {
  if (loading) return <Bar what="Loading the code that computes" {...loading} />;
  if (!transfer) return null;
  const { direction, done_bytes, total_bytes, trouble } = transfer;
  const what = `${direction === 'up' ? 'Sending' : 'Fetching'} ${transfer_of ?? 'a blob'}`;
  return (
    <>
      <Bar what={what} done_bytes={done_bytes} total_bytes={total_bytes} />
      {trouble && <p class="note">{trouble}; it is tried again, and goes on from there.</p>}
    </>
  );
}

function Bar({ what, done_bytes, total_bytes }: { what: string; done_bytes: number; total_bytes: number | null }) {
  return (
    <p class="loading-bar fine">
      <span>
        {what}: {formatBytes(done_bytes)}
        {total_bytes !== null && ` of ${formatBytes(total_bytes)}`}
      </span>
      <progress
        aria-label={what}
        max={total_bytes ?? undefined}
        value={total_bytes === null ? undefined : done_bytes}
      />
    </p>
  );
}
