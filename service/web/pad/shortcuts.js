/** Keyboard shortcuts. */

/** @param {{ undo: () => void, clear: () => void, nextLine: () => void }} actions */
export function addShortcuts({ undo, clear, nextLine }) {
  addEventListener("keydown", (event) => {
    const { target } = event;
    if (target instanceof Element && target.closest("a, input, button, select") !== null) return;
    if (event.key === "z" && (event.ctrlKey || event.metaKey)) undo();
    else if (event.key === "Escape" && !document.querySelector(":popover-open")) clear();
    else if (event.key === "Enter") nextLine();
    else return;
    event.preventDefault();
  });
}
