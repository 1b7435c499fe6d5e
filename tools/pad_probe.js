// Runs in the page before its own scripts, and measures the latency from a point of the pen to the
// drawing of its result in the ribbon, in milliseconds. The drawing is on the screen a frame later.
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
}
