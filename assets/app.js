// All the JavaScript of ours: it starts the stock LiveView client, and moves the page to another node
// when its own one is gone. docs/protocol.md says what the parameters are for.
const meta = name => document.querySelector(`meta[name=${name}]`)?.content ?? "";
const csrf = meta("csrf-token");
const nodes = meta("nodes").split(" ").filter(Boolean); // empty behind a proxy
const wait = [10, 50, 100, 150, 200, 250, 500, 1000, 2000];
let at = Math.max(0, nodes.indexOf(location.origin));

const live = new LiveView.LiveSocket("/live", Phoenix.Socket, {
  // A function: a plain object would gather the joins' parameters, and put them into the URL.
  params: () => ({
    _csrf_token: csrf,
    tz: -new Date().getTimezoneOffset(),
    touch: matchMedia("(hover: none)").matches,
    from: document.querySelector(".foot b")?.textContent ?? "",
    seen: Number(document.querySelector("#messages")?.lastElementChild?.id.slice(2)) || 0,
  }),
  // The socket reads its end point anew at each attempt. The jitter spreads those who come back.
  reconnectAfterMs: tries => {
    if (nodes.length) {
      at = (at + 1) % nodes.length;
      live.socket.endPoint = nodes[at].replace(/^http/, "ws") + "/live/websocket";
    }
    return (wait[tries - 1] || 5000) * (0.5 + Math.random());
  },
});
live.connect();
window.liveSocket = live; // for tests and the browser's console
