/** The keyboard's ways to do what buttons do. */

/** @param {{ undo: () => void, clear: () => void, next: () => void }} actions */
export function listenToKeys({ undo, clear, next }) {
  addEventListener("keydown", (event) => {
    const { target } = event;
    if (target instanceof Element && target.closest("a, input, button, select") !== null) return;
    if (event.key === "z" && (event.ctrlKey || event.metaKey)) undo();
    else if (event.key === "Escape" && !document.querySelector(":popover-open")) clear();
    else if (event.key === "Enter") next();
    else return;
    event.preventDefault();
  });
}
