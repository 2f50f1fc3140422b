// Chromium for benches and tests: where it is, with and without a GPU.
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

export const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
);
/** What Chromium loads for the address bar of every window, though nobody sees one: more work than all else in an empty tab. */
const ADDRESS_BAR = ['WebUIOmniboxPopup', 'WebUIOmniboxAimPopup', 'WebUIOmniboxFullPopup'];
/** What Playwright leaves out: of two lists Chromium takes the last, which is ours. */
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
const FLAGS = ['--disable-quic', `--disable-features=${[...ADDRESS_BAR, ...AS_PLAYWRIGHT].join()}`];
/** Without a GPU, as most servers are. */
export const NO_GPU = [...FLAGS, '--disable-gpu'];
/** With Chromium's own software GPU: slow, but it computes what a GPU would. */
export const SOFTWARE_GPU = [
  ...FLAGS,
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
];
/** For tests, in which a tab trains a few steps: optimising the code that computes them takes longer than they do. */
export const UNOPTIMISED = '--js-flags=--wasm-tiering-budget=2000000000';

export function launch(args: readonly string[]): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: [...args] });
}
