// SPDX-License-Identifier: MIT
// Finds, makes and places elements. Text is never parsed as markup.

/**
 * The element with this id; the caller knows its type.
 *
 * @param {string} id
 */
export const byId = (id) =>
  /** @type {HTMLElement & HTMLInputElement & HTMLAnchorElement} */ (document.getElementById(id));

/**
 * @param {string} tag
 * @param {string} [className]
 * @param {...(Node | string)} children strings become text
 * @returns {HTMLElement}
 */
export function make(tag, className = '', ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

const SVG = 'http://www.w3.org/2000/svg';

/**
 * @param {string} path
 * @param {string} name for screen readers; without one, they skip it
 */
export function icon(path, name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 20 20');
  if (name) {
    svg.setAttribute('role', 'img');
    svg.setAttribute('aria-label', name);
  } else {
    svg.setAttribute('aria-hidden', 'true');
  }
  const line = document.createElementNS(SVG, 'path');
  line.setAttribute('d', path);
  svg.append(line);
  return svg;
}

/**
 * Makes `nodes` the children of `parent`, without moving those that are in place: a node that is moved loses the focus.
 *
 * @param {Node} parent
 * @param {Node[]} nodes
 */
export function place(parent, nodes) {
  const wanted = new Set(nodes);
  for (const node of [...parent.childNodes]) if (!wanted.has(node)) parent.removeChild(node);
  let at = parent.firstChild;
  for (const node of nodes) {
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
  }
}

/**
 * Sets the text if it differs, so that a live region does not announce it again.
 *
 * @param {Element} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
