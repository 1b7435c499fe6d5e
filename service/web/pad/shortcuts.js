/** Keyboard shortcuts. */

/** @param {{ undo: () => void, redo: () => void, nextLine: () => void, selectAll: () => void }} actions */
export function addShortcuts({ undo, redo, nextLine, selectAll }) {
  addEventListener("keydown", (event) => {
    const { target, key, ctrlKey, metaKey, shiftKey } = event;
    if (target instanceof Element && target.closest("input, textarea, select") !== null) return;
    const isButton = target instanceof Element && target.closest("a, button") !== null;
    const isCommand = ctrlKey || metaKey;
    if (isCommand && key.toLowerCase() === "z") (shiftKey ? redo : undo)();
    else if (isCommand && key.toLowerCase() === "y") redo();
    else if (isCommand && key.toLowerCase() === "a") selectAll();
    else if (key === "Enter" && !isButton) nextLine();
    else return;
    event.preventDefault();
  });
}
