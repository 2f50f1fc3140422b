// The page's first script: opens the connection to the hub and renders the application.
import './tab/no-eval.ts';
import { render } from 'preact';
import { App } from './app.tsx';
import { goOn } from './shell/going-on.ts';
import { openLive } from './shell/live.ts';
import { watchForNotices } from './shell/notices.ts';
import './style.css';

const live = openLive(`${location.origin.replace(/^http/, 'ws')}/ws`);
render(<App live={live} />, document.getElementById('app')!);
watchForNotices(live);
void goOn();
