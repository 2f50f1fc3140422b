// The name of this device: the one that its owner chose last time, otherwise its browser and system.

const KEY = 'potluck-device-name';

export function deviceName(): string {
  try {
    const kept = localStorage.getItem(KEY);
    if (kept) return kept;
  } catch {
    // a browser that stores nothing for this page
  }
  const { userAgent } = navigator;
  const find = (names: readonly string[]) => names.find((name) => userAgent.includes(name));
  const browser = find(['Firefox', 'Edg', 'OPR', 'Chrome', 'Safari'])?.replace('Edg', 'Edge').replace('OPR', 'Opera');
  const system = find(['Android', 'iPhone', 'iPad', 'Windows', 'Mac OS X', 'CrOS', 'Linux'])
    ?.replace('Mac OS X', 'Mac')
    .replace('CrOS', 'Chromebook');
  return `${browser ?? 'A browser'}${system ? ` on ${system}` : ''}`;
}

export function rememberName(name: string): void {
  try {
    localStorage.setItem(KEY, name);
  } catch {
    // the name will be asked for again next time
  }
}
