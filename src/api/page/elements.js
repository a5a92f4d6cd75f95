/** What both pages draw with: everything goes in as text, never as HTML. */

export const byId = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

export function showBanner(text, kind = 'warn') {
  const banner = byId('banner');
  banner.hidden = text === '';
  banner.textContent = text;
  banner.dataset.kind = kind;
}
