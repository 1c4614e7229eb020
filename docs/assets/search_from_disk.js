// Browsers start no worker from a page on the disk. There, what searches runs in a hidden frame of the
// page instead, so that search works without a server too.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.documentElement.append(frame);
      this.inside = frame.contentWindow;
      this.inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      this.loaded = new Promise((resolve) => {
        const script = this.inside.document.createElement("script");
        script.src = new URL(address, location.href).href;
        script.onload = resolve;
        this.inside.document.head.append(script);
      });
    }

    postMessage(data) {
      const message = new this.inside.MessageEvent("message", { data });
      this.loaded.then(() => this.inside.dispatchEvent(message));
    }
  };
}
