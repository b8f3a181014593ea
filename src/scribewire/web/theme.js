// Light or dark: as the system has it, until the reader says otherwise with the button #theme.

// A plain script in the head and not a module, so that a page never flashes in the other one.
{
  const NAME = "scribewire.theme";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");

  /** What was chosen; storage may be forbidden, and then a choice lasts as long as the page. */
  const stored = () => {
    try {
      return localStorage.getItem(NAME);
    } catch {
      return null;
    }
  };

  /** @param {string} theme */
  const store = (theme) => {
    try {
      localStorage.setItem(NAME, theme);
    } catch {
      // It lasts as long as the page.
    }
  };

  const shown = () => root.dataset.theme ?? (system.matches ? "dark" : "light");

  const wire = () => {
    const button = document.getElementById("theme");
    if (!button) return;
    const label = () => {
      button.textContent = shown() === "dark" ? "Light" : "Dark";
      button.setAttribute("aria-label", `Switch to the ${shown() === "dark" ? "light" : "dark"} theme`);
    };
    button.addEventListener("click", () => {
      root.dataset.theme = shown() === "dark" ? "light" : "dark";
      store(root.dataset.theme);
      label();
    });
    system.addEventListener("change", label);
    label();
  };

  const chosen = stored();
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", wire);
  else wire();
}
