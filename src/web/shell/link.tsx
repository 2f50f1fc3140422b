// A link within the page: a real link that the browser can open elsewhere, and that is followed here without loading a document.
import type { ComponentChildren } from 'preact';
import { goTo, pathOf, type Route } from './route.ts';

export function Link(props: {
  to: Exclude<Route, { view: 'unknown' }>;
  current?: boolean;
  class?: string;
  children: ComponentChildren;
}) {
  const follow = (event: MouseEvent): void => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    goTo(props.to);
  };
  return (
    <a href={pathOf(props.to)} onClick={follow} class={props.class} aria-current={props.current ? 'page' : undefined}>
      {props.children}
    </a>
  );
}
