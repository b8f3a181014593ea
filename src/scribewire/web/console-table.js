// A table whose rows stay where they are while their figures change, so that focus and reading are not lost.

import { make, setText } from "./console-dom.js";

/**
 * A column: what its cells say, or what fills those that hold more than text, called at each change.
 * @template T
 * @typedef {{ label: string } & (
 *   { text: (thing: T) => string } | { fill: (cell: HTMLElement, thing: T) => void }
 * )} Column
 */

/**
 * Rows of things that have a name of their own.
 * @template T
 */
export class Rows {
  #body;
  #columns;
  #nameOf;
  #refuge;
  /** @type {Map<string, HTMLElement>} */
  #rows = new Map();

  /**
   * @param {HTMLTableElement} table an empty one; it gets its head
   * @param {Column<T>[]} columns
   * @param {(thing: T) => string} nameOf gives what tells one from another
   * @param {HTMLElement} refuge takes the focus of a row that goes
   */
  constructor(table, columns, nameOf, refuge) {
    this.#columns = columns;
    this.#nameOf = nameOf;
    this.#refuge = refuge;
    const head = make("thead", "", { role: "rowgroup" });
    const titles = make("tr", "", { role: "row" });
    titles.append(...columns.map(({ label }) => make("th", label, { role: "columnheader", scope: "col" })));
    head.append(titles);
    this.#body = make("tbody", "", { role: "rowgroup" });
    // On a narrow screen its rows are no table to the eye; to a screen reader they stay one.
    table.setAttribute("role", "table");
    table.replaceChildren(...(table.caption ? [table.caption] : []), head, this.#body);
  }

  /** @param {T[]} things what there is now, in order */
  show(things) {
    const named = new Map(things.map((thing) => [this.#nameOf(thing), thing]));
    for (const [name, row] of this.#rows) if (!named.has(name)) this.#remove(name, row);
    let at = 0;
    for (const [name, thing] of named) {
      const row = this.#rows.get(name) ?? this.#add(name);
      this.#columns.forEach((column, index) => {
        const cell = /** @type {HTMLElement} */ (row.children[index].firstElementChild);
        if ("fill" in column) column.fill(cell, thing);
        else setText(cell, column.text(thing));
      });
      if (this.#body.children[at] !== row) this.#body.insertBefore(row, this.#body.children[at] ?? null);
      at += 1;
    }
  }

  /** @param {string} name */
  #add(name) {
    const row = make("tr", "", { role: "row" });
    for (const { label } of this.#columns) {
      const cell = make("td", "", { role: "cell", "data-label": label });
      cell.append(make("span"));
      row.append(cell);
    }
    this.#rows.set(name, row);
    return row;
  }

  /** @param {string} name @param {HTMLElement} row */
  #remove(name, row) {
    const focused = row.contains(document.activeElement);
    row.remove();
    this.#rows.delete(name);
    if (focused) this.#refuge.focus();
  }
}
