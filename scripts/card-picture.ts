// Makes src/web/card.png, the picture on the preview card of a shared link (ogp.me), by taking a picture of a page in Chromium.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch, NO_GPU } from '../src/bench/chromium.ts';

const WEB = join(import.meta.dirname, '..', 'src', 'web');
/** What the sites that show such cards ask for. */
const SIZE = { width: 1200, height: 630 };
const icon = readFileSync(join(WEB, 'icon.svg'), 'utf8').replace('<svg', '<svg width="230" height="230"');

const browser = await launch(NO_GPU);
const page = await browser.newPage({ viewport: SIZE });
await page.setContent(`<style>
  body { margin: 0; height: 100vh; display: flex; align-items: center; gap: 70px; padding: 0 90px; box-sizing: border-box;
    background: #fbfaf6; color: #1d1f1e; font: 40px/1.35 system-ui, sans-serif; border-bottom: 24px solid #0b7d5c; }
  svg { flex: none; }
  h1 { font-size: 104px; line-height: 1; margin: 0 0 28px; letter-spacing: -3px; }
  p { margin: 0; } small { display: block; margin-top: 28px; font-size: 31px; color: #5d625f; }
</style>${icon}<div><h1>Potluck</h1><p>Devices that people already own<br>train a model together.</p>
<small>Open the link to watch, to check everything,<br>or to lend yours.</small></div>`);
await page.screenshot({ path: join(WEB, 'card.png') });
await browser.close();
console.log('src/web/card.png');
