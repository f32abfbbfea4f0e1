export default { render({ el }) { el.textContent = "in work"; } };
