// PLACEHOLDER
export function PlayView() {
  return <h1>Play</h1>;
}
