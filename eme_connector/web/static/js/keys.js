// "/" leads to the search field; Escape and a click elsewhere close menus.
const typing = (node) => node.closest?.("input, select, textarea, [contenteditable]");

function focusSearch(event) {
  const fields = [...document.querySelectorAll("[data-slash], #filter-keyword")];
  const field = fields.find((one) => one.checkVisibility?.() ?? one.offsetParent);
  if (field) {
    event.preventDefault();
    field.focus();
    field.select();
  }
}

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(except)) menu.open = false;
  }
}

document.addEventListener("keydown", (event) => {
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
  if (event.key === "/" && plain && !typing(event.target)) focusSearch(event);
  if (event.key === "Escape") {
    const menu = event.target.closest?.("details.menu[open]");
    closeMenus(null);
    menu?.querySelector("summary").focus();
  }
});
document.addEventListener("click", (event) => closeMenus(event.target));
