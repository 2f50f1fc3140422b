// Chromium for benches and tests: where it is, with and without a GPU.
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

export const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
);
/** Features of the address bar, which Chromium loads for every window although nobody sees it: more work than everything else in an empty tab. */
const ADDRESS_BAR = ['WebUIOmniboxPopup', 'WebUIOmniboxAimPopup', 'WebUIOmniboxFullPopup'];
/** A renderer in reserve for the next page, started whenever one is taken: half of all renderers that benches and tests start are never used. */
const SPARE_RENDERER = 'SpareRendererForSitePerProcess';
/** Features that Playwright disables: Chromium uses only the last of two lists, which is ours. */
const AS_PLAYWRIGHT = [
  ...['AimEnabled', 'AvoidCorsURLLoaderRestartOnRedirect', 'AvoidUnnecessaryBeforeUnloadCheckSync'],
  ...[
    'DestroyProfileOnBrowserClose',
    'HttpsFirstBalancedModeAutoEnable',
    'HttpsUpgrades',
    'LensOverlay',
    'MediaRouter',
  ],
  ...['NetworkTimeServiceQuerying', 'OptimizationHints', 'PaintHolding', 'PreconnectToSearch'],
  ...['TcpPortRandomizationWin', 'ThirdPartyStoragePartitioning'],
];
const FLAGS = ['--disable-quic', `--disable-features=${[...ADDRESS_BAR, SPARE_RENDERER, ...AS_PLAYWRIGHT].join()}`];
/** Without a GPU, as most servers are. */
export const NO_GPU = [...FLAGS, '--disable-gpu'];
/** With Chromium's own software GPU: slow, but it computes what a GPU would. */
export const SOFTWARE_GPU = [
  ...FLAGS,
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
];
/** For tests in which a tab trains a few steps: the optimisation of the code would take longer than the steps. */
export const UNOPTIMISED = '--js-flags=--wasm-tiering-budget=2000000000';

export function launch(args: readonly string[]): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: [...args] });
}
