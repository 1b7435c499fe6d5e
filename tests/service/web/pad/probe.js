// Put into the page before its own scripts: how long from a point of the pen to the ribbon that
// shows what the server said of it, in milliseconds. What is drawn is on the screen a frame later.
{
  const delays = [];
  let oldest; // of the points that were not sent yet, when it came
  let sent; // of those in the newest message
  let answered; // of those that a result has answered, but no frame has shown
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
      delays.push(performance.now() - answered);
      answered = undefined;
    }
    fillRect.apply(this, box);
  };
  window.delays = delays;
}
