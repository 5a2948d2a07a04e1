// The rendered tree as the stock client keeps it: merge of diffs, streams, and the HTML that comes
// out. Written from docs/protocol.md, not from the client, so that a mistake of ours is not shared.
// What a client would choke on is noted in `problems` instead of being mended.

const isObject = value => value !== null && typeof value === 'object' && !Array.isArray(value);
const holes = statics => statics.length - 1;

export class Rendered {
  constructor() {
    this.tree = null;
    this.title = undefined;
    this.events = [];
    this.streams = new Map(); // ref -> [{id, html}], the children in the page
    this.problems = [];
    this.version = 0;
  }

  /* A join's tree: replaces everything, streams too. */
  join(tree) {
    this.streams.clear();
    this.replace(tree);
  }

  /* A diff, of a reply or of a broadcast. Returns the stream operations that were in it. */
  merge(diff) {
    const { e, t, r, ...rest } = diff;
    if (t !== undefined) this.title = t;
    if (e !== undefined) this.events.push(...e);
    this.operations = [];
    this.version++;
    if (rest.s !== undefined) this.replace(rest);
    else if (this.tree === null) this.problems.push('a diff came before any tree');
    else {
      this.#into(this.tree, rest, '');
      this.check(this.tree, 'root');
    }
    return this.operations;
  }

  replace(tree) {
    const { t, e, r, ...rest } = tree;
    if (t !== undefined) this.title = t;
    if (e !== undefined) this.events.push(...e);
    if (r !== undefined) this.problems.push('"r" at the top of a tree');
    this.version++;
    this.operations ??= [];
    const before = new Set(this.streams.keys());
    this.tree = this.#whole(structuredClone(rest), 'root', before);
    for (const ref of before) this.streams.delete(ref); // its container is gone
    this.check(this.tree, 'root');
  }

  /* A node that comes with its statics. */
  #whole(node, path, unseen) {
    if (!isObject(node)) return node;
    if (node.p !== undefined) this.problems.push(`${path}: shared statics`);
    if (node.k !== undefined) {
      if (node.stream !== undefined) {
        unseen?.delete(node.stream[0]);
        return this.#stream({ s: node.s }, node, path);
      }
      for (const key of Object.keys(node.k)) {
        if (/^\d+$/.test(key)) node.k[key] = this.#whole({ s: node.s, ...node.k[key] }, `${path}.k.${key}`, unseen);
      }
      for (const key of Object.keys(node.k)) if (isObject(node.k[key])) delete node.k[key].s;
      return node;
    }
    for (const key of Object.keys(node)) {
      if (/^\d+$/.test(key)) node[key] = this.#whole(node[key], `${path}.${key}`, unseen);
    }
    return node;
  }

  #into(old, diff, path) {
    if (diff.k !== undefined) return this.#keyed(old, diff, path);
    for (const [key, value] of Object.entries(diff)) {
      const here = `${path}.${key}`;
      if (isObject(value) && value.s === undefined) {
        if (!isObject(old[key])) {
          this.problems.push(`${here}: a diff without statics where the page has none`);
          continue;
        }
        old[key] = this.#into(old[key], value, here);
      } else if (isObject(value) && value.stream !== undefined) {
        old[key] = this.#stream({ s: value.s }, value, here);
      } else {
        if (!/^\d+$/.test(key)) this.problems.push(`${here}: unexpected key`);
        if (isObject(old) && old.s && Number(key) >= holes(old.s)) this.problems.push(`${here}: no such hole`);
        old[key] = this.#whole(structuredClone(value), here);
      }
    }
    return old;
  }

  #keyed(old, diff, path) {
    if (diff.stream !== undefined) return this.#stream(old, diff, path);
    if (!isObject(old.k)) {
      this.problems.push(`${path}: keyed diff where the page has no list`);
      return old;
    }
    const before = structuredClone(old.k);
    const count = diff.k.kc;
    if (!Number.isInteger(count)) this.problems.push(`${path}: a list without its count`);
    for (const [key, value] of Object.entries(diff.k)) {
      if (!/^\d+$/.test(key)) continue;
      if (typeof value === 'number' || Array.isArray(value)) {
        if (diff.k.km !== true) this.problems.push(`${path}: a move without "km"`);
        const [from, change] = Array.isArray(value) ? value : [value, {}];
        if (!isObject(before[from])) this.problems.push(`${path}: move from ${from}, which is not there`);
        old.k[key] = this.#into(structuredClone(before[from] ?? {}), change, `${path}.k.${key}`);
      } else {
        old.k[key] = this.#into(isObject(before[key]) ? old.k[key] : {}, value, `${path}.k.${key}`);
      }
    }
    for (const key of Object.keys(old.k)) if (/^\d+$/.test(key) && Number(key) >= count) delete old.k[key];
    old.k.kc = count;
    return old;
  }

  #stream(old, diff, path) {
    const [ref, inserts, deletes] = diff.stream;
    const isReset = diff.stream.length > 3;
    const statics = diff.s ?? old.s;
    const wrong = text => this.problems.push(`${path}: stream ${ref}: ${text}`);
    if (typeof ref !== 'string') wrong('its ref is no string');
    if (!Array.isArray(statics)) {
      wrong('it has no statics');
      return old;
    }
    if (!isObject(diff.k) || diff.k.kc !== inserts.length) wrong('entries and inserts do not match');
    this.operations?.push({ ref, inserts, deletes, isReset });
    let list = this.streams.get(ref) ?? [];
    if (isReset) {
      const kept = new Set(inserts.map(([id]) => id));
      list = list.filter(item => kept.has(item.id));
    }
    list = list.filter(item => !deletes.includes(item.id));
    inserts.forEach(([id, at, limit], i) => {
      const entry = diff.k?.[i];
      if (!isObject(entry)) {
        wrong(`entry ${i} is missing`);
        return;
      }
      const node = { s: statics, ...entry };
      this.check(node, `${path}.k.${i}`);
      const item = { id, html: this.html(node) };
      if (!new RegExp(`^\\s*<[^>]* id="${id}"`).test(item.html)) wrong(`the element of ${id} has another id`);
      const place = list.findIndex(one => one.id === id);
      if (place >= 0 && !isReset) list[place] = item;
      else {
        if (place >= 0) list.splice(place, 1); // a reset puts in the order given
        if (at === -1) list.push(item);
        else list.splice(at, 0, item);
      }
      if (Number.isInteger(limit)) list = limit < 0 ? list.slice(limit) : list.slice(0, limit);
    });
    this.streams.set(ref, list);
    return { s: statics, stream: ref };
  }

  /* n+1 statics, n dynamics, nothing null: all the way down. */
  check(node, path) {
    if (typeof node === 'string') return;
    const wrong = text => this.problems.push(`${path}: ${text}`);
    if (!isObject(node)) return wrong(`${JSON.stringify(node)} is no node`);
    if (!Array.isArray(node.s) || node.s.length === 0) return wrong('no statics');
    if (node.s.some(part => typeof part !== 'string')) return wrong('a static part is no string');
    if (typeof node.stream === 'string') return;
    const entries = node.k === undefined ? [node] : Array.from({ length: node.k.kc }, (_, i) => node.k[i]);
    entries.forEach((entry, at) => {
      if (!isObject(entry)) return wrong(`entry ${at} is missing`);
      for (let hole = 0; hole < holes(node.s); hole++) {
        if (entry[hole] === undefined || entry[hole] === null) wrong(`entry ${at}, hole ${hole} is ${entry[hole]}`);
        else this.check(entry[hole], `${path}.${hole}`);
      }
    });
  }

  html(node = this.tree, withStreams = true) {
    if (typeof node === 'string') return node;
    if (!isObject(node) || !Array.isArray(node.s)) return '';
    if (typeof node.stream === 'string') {
      return withStreams ? this.streams.get(node.stream).map(item => item.html).join('') : '';
    }
    const pour = entry => node.s.map((part, i) => part + (i < holes(node.s) ? this.html(entry[i], withStreams) : '')).join('');
    if (node.k === undefined) return pour(node);
    return Array.from({ length: node.k.kc }, (_, i) => pour(node.k[i])).join('');
  }
}
