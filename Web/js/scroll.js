// Keeps a list that grows at both ends still under the reader: at its end it follows, elsewhere the message at the top stays where it is,
// whatever is loaded above it, drawn late or resized.

const NEAR_END = 48;
const NEAR_EDGE = 800;

export class ScrollKeeper {
  #scroller;
  #content;
  #place;
  #handlers;
  #watcher;
  #expected = -1;

  /** `place()` is the object `{atEnd, id, offset}` to keep, in which what the reader does is written down; items carry `data-id`. */
  constructor(scroller, content, { place, nearTop, nearEnd, moved }) {
    this.#scroller = scroller;
    this.#content = content;
    this.#place = place;
    this.#handlers = { nearTop, nearEnd, moved };
    this.#watcher = new ResizeObserver(() => this.settle());
    this.#watcher.observe(content);
    this.#watcher.observe(scroller);
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.settle();
  }

  close() {
    this.#watcher.disconnect();
  }

  /** Puts the list where `place` says. */
  settle() {
    const place = this.#place();
    const { atEnd, id, offset } = place;
    const scroller = this.#scroller;
    if (!scroller.isConnected || scroller.clientHeight === 0) return;
    if (atEnd) this.#scrollTo(scroller.scrollHeight - scroller.clientHeight);
    else {
      const item = id && this.#content.querySelector(`[data-id="${CSS.escape(id)}"]`);
      if (item) this.#scrollTo(scroller.scrollTop + this.#top(item) - offset);
      if (item && scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop < 2) place.atEnd = true;
    }
    this.#edges();
  }

  #scrollTo(wanted) {
    const to = Math.round(Math.max(0, wanted));
    if (Math.abs(this.#scroller.scrollTop - to) < 1) return;
    this.#scroller.scrollTop = to;
    this.#expected = this.#scroller.scrollTop;
  }

  #scrolled() {
    const scroller = this.#scroller;
    if (Math.abs(scroller.scrollTop - this.#expected) < 2) {
      this.#expected = -1;
      return this.#edges();
    }
    this.#expected = -1;
    const place = this.#place();
    place.atEnd = scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop < NEAR_END;
    const first = [...this.#content.querySelectorAll("[data-id]")].find((item) => this.#top(item) + item.offsetHeight > 0);
    if (first) [place.id, place.offset] = [first.dataset.id, this.#top(first)];
    this.#edges();
  }

  #edges() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    if (scrollTop < NEAR_EDGE) this.#handlers.nearTop();
    if (scrollHeight - clientHeight - scrollTop < NEAR_EDGE) this.#handlers.nearEnd();
    this.#handlers.moved();
  }

  #top(item) {
    return item.getBoundingClientRect().top - this.#scroller.getBoundingClientRect().top;
  }

  /** The id of the last item of which the foot can be seen. */
  lastSeen() {
    const height = this.#scroller.clientHeight;
    const items = [...this.#content.querySelectorAll("[data-id]")];
    return items.findLast((item) => this.#top(item) + Math.min(item.offsetHeight, 48) <= height)?.dataset.id ?? null;
  }
}
