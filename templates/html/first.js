"use strict";
// Before anything else of the page: the colours that were chosen last time, and the nonce by which the
// page's policy lets a style be. Bokeh makes its style elements while it loads, and knows no nonce.
(() => {
  const nonce = document.querySelector("style").nonce;
  const create = Document.prototype.createElement;
  Document.prototype.createElement = function (name, options) {
    const element = create.call(this, name, options);
    if (String(name).toLowerCase() === "style") element.nonce = nonce;
    return element;
  };
  let chosen = null;
  try {
    chosen = localStorage.getItem("finbot-theme");
  } catch {
    // Some browsers keep nothing for files.
  }
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
})();
