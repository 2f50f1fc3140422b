// PLACEHOLDER
export function DeviceView() {
  return <h1>Device</h1>;
}
