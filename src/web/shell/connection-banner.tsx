// One line when the hub is unreachable: that it is, how old the shown data is, and what is being done about it.
import { formatDuration } from './format.ts';
import type { Live } from './live.ts';
import { useNow } from './now.ts';

export function ConnectionBanner({ live, onRetry }: { live: Live; onRetry: () => void }) {
  const now_ms = useNow(1000);
  return (
    <div class="banner" role="status">
      {live.connection === 'away' && (
        <p>
          <strong>The hub is away</strong> ({live.reason}).{' '}
          {live.runs.size > 0 && `What you see is ${formatDuration(now_ms - live.since_ms)} old. `}
          Nothing is lost, and this page keeps trying.{' '}
          <button type="button" class="quiet" onClick={onRetry}>
            Try now
          </button>
        </p>
      )}
      {live.connection === 'refused' && (
        <p>
          <strong>This page is too old for the hub.</strong> {live.reason}{' '}
          <button type="button" class="quiet" onClick={() => location.reload()}>
            Reload
          </button>
        </p>
      )}
    </div>
  );
}
