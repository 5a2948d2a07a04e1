// As much of HTML as tests need to read our own pages: attributes, a root's inside, text.

const entities = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", '#39': "'" };

export const unescape = html =>
  html.replace(/&(#?\w+);/g, (whole, name) => {
    if (name in entities) return entities[name];
    if (/^#x/i.test(name)) return String.fromCodePoint(parseInt(name.slice(2), 16));
    if (name[0] === '#') return String.fromCodePoint(Number(name.slice(1)));
    return whole;
  });

export const escape = text =>
  text.replace(/[&<>"']/g, c => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' })[c]);

/* The start tags of one kind ("*" for all). */
export const tags = (html, name) =>
  html.match(name === '*' ? /<[a-z][^\s>/]*(?:"[^"]*"|[^">])*>/g
                          : new RegExp(`<${name}(?=[\\s>/])(?:"[^"]*"|[^">])*>`, 'g')) ?? [];

/* An attribute of a start tag, unescaped; '' for one without a value, undefined when absent. */
export function attribute(tag, name) {
  const found = new RegExp(`\\s${name}(?:="([^"]*)")?(?=[\\s>/])`).exec(tag);
  return found ? unescape(found[1] ?? '') : undefined;
}

/* The inside of the element whose start tag begins at `at`; counts elements of the same name. */
export function inside(html, at) {
  const name = /^<([a-z0-9]+)/.exec(html.slice(at, at + 20))[1];
  const start = at + tags(html.slice(at), name)[0].length;
  const marks = new RegExp(`<${name}(?=[\\s>/])|</${name}>`, 'g');
  marks.lastIndex = start;
  for (let depth = 1, mark; (mark = marks.exec(html));) {
    depth += mark[0][1] === '/' ? -1 : 1;
    if (depth === 0) return html.slice(start, mark.index);
  }
  throw new Error(`<${name}> is never closed`);
}

/* The first element whose start tag passes `test`: its whole HTML, or undefined. */
export function element(html, name, test) {
  for (const tag of tags(html, name)) {
    if (!test(tag)) continue;
    const at = html.indexOf(tag);
    return tag + inside(html, at) + `</${name}>`;
  }
  return undefined;
}

export const textOf = html => unescape(html.replace(/<[^>]*>/g, ''));
