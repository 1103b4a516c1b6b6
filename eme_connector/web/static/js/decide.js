// The approving button names how many steps it approves.
function count(form) {
  const button = form.querySelector("[data-approve]");
  const ticked = form.querySelectorAll("input[name=step]:checked").length;
  const { one, many, none } = button.dataset;
  const words = ticked === 0 ? none : ticked === 1 ? one : many.replace("{n}", ticked);
  button.querySelector("span").textContent = words;
  button.disabled = ticked === 0;
}

for (const form of document.querySelectorAll("form[data-decide]")) {
  form.addEventListener("change", () => count(form));
  count(form);
}
