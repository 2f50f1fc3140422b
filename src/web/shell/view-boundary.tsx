// An error boundary around the open view: if the view fails, the frame stays, and the tab's work can still be stopped.
import { Component, type ComponentChildren } from 'preact';
import { StopButton } from './stop-button.tsx';

export class ViewBoundary extends Component<{ children: ComponentChildren }, { failed: string | null }> {
  override state = { failed: null };

  static override getDerivedStateFromError(error: unknown): { failed: string } {
    return { failed: error instanceof Error ? error.message : String(error) };
  }

  override render() {
    if (this.state.failed === null) return this.props.children;
    return (
      <section class="empty" role="alert">
        <h1>This view failed</h1>
        <p>A mistake in the page itself, not in what you did: {this.state.failed}. The other views still work.</p>
        <p class="actions">
          <button type="button" class="primary" onClick={() => location.reload()}>
            Reload
          </button>
          <StopButton />
        </p>
      </section>
    );
  }
}
