// Runs in the page before its own scripts, and measures, in milliseconds: the latency from a point of the pen to
// the drawing of its result in the ribbon, which is on the screen a frame later; when the text of the line that is
// written in changes, and when the pen was lifted last. It also adds up the layout shifts.
{
  const latencies = [];
  let oldest; // time of the oldest point that was not sent yet
  let sent; // the same, of the points in the newest message
  let answered; // the same, of the points whose result was not drawn yet
  for (const kind of ["pointerdown", "pointermove"]) {
    addEventListener(kind, ({ timeStamp }) => (oldest ??= timeStamp), { capture: true });
  }
  window.WebSocket = class extends WebSocket {
    constructor(...how) {
      super(...how);
      this.addEventListener("message", ({ data }) => {
        if (data.startsWith('{"type":"result"') && sent !== undefined) {
          answered ??= sent;
          sent = undefined;
        }
      });
    }

    send(data) {
      if (typeof data === "string" && data.includes('"points"')) {
        sent = oldest;
        oldest = undefined;
      }
      super.send(data);
    }
  };
  const { fillRect } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.fillRect = function (...box) {
    if (this.canvas.id === "ribbon" && answered !== undefined) {
      latencies.push(performance.now() - answered);
      answered = undefined;
    }
    fillRect.apply(this, box);
  };
  window.latencies = latencies;

  const texts = []; // each with the part of it that is decided
  let shown = "";
  window.pen = { liftedAt: 0 };
  addEventListener("pointerup", ({ timeStamp }) => (window.pen.liftedAt = timeStamp), { capture: true });
  const observer = new MutationObserver(() => {
    const lines = [...document.querySelectorAll("#text [data-active]")];
    const text = lines.map((line) => line.textContent).join(" ");
    const [pale] = lines.flatMap((line) => [...line.querySelectorAll("button > span")]);
    let decided = text;
    if (pale !== undefined) {
      const range = document.createRange();
      range.setStart(lines[0], 0);
      range.setEnd(pale, 0);
      decided = range.toString();
    }
    if (shown === `${text}\n${decided}`) return;
    shown = `${text}\n${decided}`;
    texts.push({ at: performance.now(), text, decided });
  });
  addEventListener("DOMContentLoaded", () => {
    observer.observe(document.querySelector("#text"), { childList: true, subtree: true, characterData: true });
  });
  window.texts = texts;

  window.shifts = 0;
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput } of list.getEntries()) if (!hadRecentInput) window.shifts += value;
  }).observe({ type: "layout-shift", buffered: true });
}
