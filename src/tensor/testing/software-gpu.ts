// Chromium's software Vulkan driver (SwiftShader), for tests of the GPU runtime on machines without a GPU.
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where Debian's and Google's packages put Chromium. */
const FOLDERS = ['/usr/lib/chromium', '/opt/google/chrome'];

/** The variables with which a child process finds the driver and the Vulkan loader; null: Chromium is not installed here. */
export function softwareGpu(): Readonly<Record<string, string>> | null {
  const folder = FOLDERS.find((path) => existsSync(join(path, 'vk_swiftshader_icd.json')));
  if (folder === undefined) return null;
  const driver = join(folder, 'vk_swiftshader_icd.json');
  return { VK_ICD_FILENAMES: driver, VK_DRIVER_FILES: driver, LD_LIBRARY_PATH: folder, XDG_RUNTIME_DIR: tmpdir() };
}
