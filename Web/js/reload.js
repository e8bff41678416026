// Runs before the page's modules: when one of them does not come, as when the network changes at that moment, the page is loaded again, at most
// three times.

addEventListener("error", ({ target }) => {
  if (!(target instanceof HTMLScriptElement)) return;
  const tries = Number(sessionStorage.getItem("dsip.reloads"));
  if (tries < 3) {
    sessionStorage.setItem("dsip.reloads", String(tries + 1));
    setTimeout(() => location.reload(), 500 * (tries + 1));
  } else {
    sessionStorage.removeItem("dsip.reloads");
    document.getElementById("incomplete").hidden = false;
  }
}, true);
