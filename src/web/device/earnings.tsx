// What this browser's person holds, counted here from the log, and the certificate that proves it to anybody.
import { useEffect, useRef, useState } from 'preact/hooks';
import { askLog } from '../ledger/ask-log.ts';
import type { LogNews } from '../ledger/log-messages.ts';
import { CopyBox } from '../shell/copy-box.tsx';
import { formatWhole } from '../shell/format.ts';
import { readIdentity } from '../tab/known-identity.ts';
import { EarnedCurve } from './earned-curve.tsx';

export function Earnings(given: { hub: string | null; run: string; owner: string | null; round: number }) {
  const { hub, run, owner: working, round } = given;
  const [known, setKnown] = useState<string | null>(null);
  const [news, setNews] = useState<LogNews | null>(null);
  const [asking, setAsking] = useState<'holdings' | 'certificate' | null>(null);
  const giveUp = useRef(() => {});
  useEffect(() => {
    readIdentity().then(
      ({ owner }) => setKnown(owner),
      () => setKnown(null),
    );
    return () => giveUp.current();
  }, []);
  const owner = working ?? known;
  if (owner === null || hub === null) return null;

  const ask = (kind: 'holdings' | 'certificate'): void => {
    giveUp.current();
    setAsking(kind);
    const order = kind === 'holdings' ? { kind, run } : { kind, run, holder: owner };
    giveUp.current = askLog({ url: location.origin, hub }, order, (answer) => {
      if (answer.kind === 'progress') return;
      setAsking(null);
      if (answer.kind === 'certificate') save(answer.text, `potluck-certificate-${run.slice(0, 8)}.json`);
      else setNews(answer);
    });
  };
  return (
    <section class="earnings" aria-labelledby="earned-title">
      <h2 id="earned-title">Shares earned</h2>
      <EarnedCurve key={owner} run={run} owner={owner} round={round} />
      {news?.kind === 'holdings' && <Held news={news} owner={owner} />}
      {(news?.kind === 'problem' || news?.kind === 'untrue') && <p class="note">{news.message}</p>}
      <p class="actions">
        <button type="button" disabled={asking !== null} onClick={() => ask('holdings')}>
          {asking === 'holdings' ? 'Replaying the log …' : 'Count them from the log'}
        </button>
        <button type="button" disabled={asking !== null} onClick={() => ask('certificate')}>
          {asking === 'certificate' ? 'Proving it …' : 'Download my certificate'}
        </button>
      </p>
      <p class="fine">
        The certificate proves which part of the model is yours, without this hub; this checks it offline. The hub
        states all shares each time it keeps a whole model, so the newest rounds may not be in it yet.
      </p>
      <CopyBox text="npx potluck verify FILE" />
    </section>
  );
}

function Held({ news, owner }: { news: Extract<LogNews, { kind: 'holdings' }>; owner: string }) {
  const { holders, emitted } = news.holdings;
  const mine = holders.find(({ account }) => account === owner);
  const held = mine?.shares ?? 0;
  const bound = [
    [mine?.withheld ?? 0, 'withheld until a few more rounds are merged'],
    [mine?.locked ?? 0, 'locked behind a validator'],
    [mine?.settled ?? 0, 'paid out'],
  ] as const;
  const rest = bound.filter(([shares]) => shares > 0).map(([shares, what]) => `${formatWhole(shares)} ${what}`);
  return (
    <p class="earned" role="status">
      <b>{formatWhole(held)}</b> of {formatWhole(emitted)} shares
      {emitted > 0 && ` (${((100 * held) / emitted).toFixed(2)} %)`}, counted by this browser
      {rest.length > 0 && `; of them ${rest.join(', ')}`}
    </p>
  );
}

/** Offers a text as a file to save. */
function save(text: string, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
