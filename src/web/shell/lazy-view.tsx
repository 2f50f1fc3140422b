// A view whose code is downloaded when somebody opens it: loading, shown, or unavailable, because the hub has a newer page meanwhile.
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Live } from './live.ts';
import { StopButton } from './stop-button.tsx';

type Loaded<P> = { readonly view: ComponentType<P> } | { readonly error: string } | null;

/** A view that was loaded once shows at once the next time. */
const known = new Map<unknown, { readonly view: unknown }>();

/**
 * Loads the view of that name, again under another address where it failed before: a browser may keep a failure for as long as the page is
 * open, and says which address it was in its error.
 */
export function loadView<M, Name extends keyof M>(load: () => Promise<M>, name: Name): () => Promise<M[Name]> {
  let failures = 0;
  return async () => {
    try {
      return (await load())[name];
    } catch (error) {
      const [address] = /https?:\S+\.js/.exec(String(error)) ?? [];
      if (failures++ === 0 || !address) throw error;
      const again: M = await import(/* @vite-ignore */ `${address}?again=${failures}`);
      return again[name];
    }
  };
}

export function LazyView<P extends object>(given: {
  load: () => Promise<ComponentType<P>>;
  props: P;
  connection: Live['connection'];
}) {
  const { load, props, connection } = given;
  const [loaded, setLoaded] = useState((known.get(load) ?? null) as Loaded<P>);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    if (known.has(load)) return;
    let wanted = true;
    setLoaded(null);
    load().then(
      (view) => {
        known.set(load, { view });
        if (wanted) setLoaded({ view });
      },
      (error: unknown) => wanted && setLoaded({ error: error instanceof Error ? error.message : String(error) }),
    );
    return () => {
      wanted = false;
    };
  }, [load, attempt]);
  const failed = loaded !== null && 'error' in loaded;
  // While the hub is unreachable the banner says so; when it is back, this tries again.
  useEffect(() => {
    if (failed && connection === 'live') setAttempt((before) => before + 1);
  }, [connection]);
  if (!loaded) return <p class="loading">Loading …</p>;
  if ('error' in loaded && connection === 'away') return <p class="loading">Waiting for the hub …</p>;
  if ('error' in loaded) {
    return (
      <section class="empty" role="alert">
        <h1>This part of the page did not load</h1>
        <p>The hub may be away, or serve a newer page.</p>
        <p class="actions">
          <button type="button" onClick={() => setAttempt(attempt + 1)}>
            Try again
          </button>
          <button type="button" onClick={() => location.reload()}>
            Reload the page
          </button>
          <StopButton />
        </p>
      </section>
    );
  }
  const View = loaded.view;
  return <View {...props} />;
}
