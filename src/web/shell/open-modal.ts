// Opens a dialog that a click outside closes, as Escape does.

/** @returns the clean-up function of the effect */
export function openModal(dialog: HTMLDialogElement): () => void {
  const onPress = ({ clientX: x, clientY: y, target }: MouseEvent): void => {
    const { left, right, top, bottom } = dialog.getBoundingClientRect();
    if (target === dialog && (x < left || x > right || y < top || y > bottom)) dialog.close();
  };
  dialog.addEventListener('click', onPress);
  dialog.showModal();
  return () => dialog.removeEventListener('click', onPress);
}
