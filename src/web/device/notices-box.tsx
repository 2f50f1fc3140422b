// The browser's notifications about a run, requested only when the person presses the button.
import { useState } from 'preact/hooks';
import { noticedRuns, noticesAllowed, setNoticed } from '../shell/notices.ts';

export function NoticesBox({ run }: { run: string }) {
  const [on, setOn] = useState(() => noticedRuns().includes(run) && noticesAllowed() === 'granted');
  const [said, setSaid] = useState('');
  const allowed = noticesAllowed();
  if (allowed === 'absent') return null;
  const change = async (wanted: boolean): Promise<void> => {
    const will = await setNoticed(run, wanted);
    setOn(will);
    setSaid(wanted && !will ? 'The browser does not allow it. Its settings for this page can.' : '');
  };
  return (
    <div>
      <label class="inline">
        <input type="checkbox" checked={on} onChange={(event) => void change(event.currentTarget.checked)} />
        Tell me by a notice of the browser when the run finishes or stands still, or this tab drops out
      </label>
      <p class="fine" role="status">
        {said}
      </p>
    </div>
  );
}
