// The checkers are tested first: one made-up history for each thing that they must find. A test that
// cannot fail proves nothing.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { differences } from '../lib/cluster.mjs';
import { Crowd } from '../lib/crowd.mjs';
import { attribute, element, escape, inside, tags, unescape } from '../lib/html.mjs';
import { Rendered } from '../lib/rendered.mjs';

const event = (number, n, more = {}) => ({ number, index: number + 1, room: 'tea', seq: number, id: `id-${n}`, sender_id: 's', sender: 'Guest 0',
  text: `c0-${n} x`, at: '2026-01-01T00:00:00Z', digest: `d${number}`, ...more });

describe('histories of three nodes', () => {
  const good = () => [event(1, 1), event(2, 2), event(3, 3)];
  const against = other => differences({ a: good(), b: other, c: good() });

  test('that are equal are fine, whatever the raft index', () => assert.deepEqual(against(good().map(one => ({ ...one, index: 99 }))), []));
  test('a missing event is found', () => assert.notDeepEqual(against(good().slice(0, 2)), []));
  test('a hole is found', () => assert.notDeepEqual(against([event(1, 1), event(3, 3)]), []));
  test('another text is found', () => assert.notDeepEqual(against([event(1, 1), event(2, 2, { text: 'other' }), event(3, 3)]), []));
  test('another digest is found', () => assert.notDeepEqual(against([event(1, 1), event(2, 2), event(3, 3, { digest: 'x' })]), []));
});

describe('a history and what was promised', () => {
  const book = () => {
    const crowd = new Crowd({ urls: ['http://127.0.0.1:1'], people: 1, rate: 1 });
    for (const n of [1, 2]) crowd.acked.set(`id-${n}`, { sender: 'Guest 0', room: 'tea', text: `c0-${n} x` });
    crowd.open.set('id-3', { sender: 'Guest 0', room: 'tea', text: 'c0-3 x' });
    return crowd;
  };
  const audit = events => book().audit(events);

  test('kept is fine, with and without what was unknown', () => {
    assert.deepEqual(audit([event(1, 1), event(2, 2)]), { lost: 0, twice: 0, wrong: [] });
    assert.deepEqual(audit([event(1, 1), event(2, 2), event(3, 3)]), { lost: 0, twice: 0, wrong: [] });
  });
  test('lost is found', () => assert.equal(audit([event(1, 1)]).lost, 1));
  test('twice is found', () => assert.equal(audit([event(1, 1), event(2, 2), event(3, 2)]).twice, 1));
  test('another content is found', () => assert.equal(audit([event(1, 1), event(2, 2, { text: 'c0-2 y' })]).wrong.length, 1));
  test('a ghost is found', () => assert.equal(audit([event(1, 1), event(2, 2), event(3, 9)]).wrong.length, 1));
  test('another order of one sender is found', () => assert.equal(audit([event(1, 2), event(2, 1)]).wrong.length, 1));
});

describe('the tree that a client keeps', () => {
  const start = () => {
    const rendered = new Rendered();
    rendered.join({ 0: 'tea', 1: { s: ['<p id="', '"><b>', '</b></p>'], k: { 0: { 0: 'a', 1: 'A' }, 1: { 0: 'b', 1: 'B' }, 2: { 0: 'c', 1: 'C' }, kc: 3 },
      stream: ['0', [['a', -1, null], ['b', -1, null], ['c', -1, null]], []] },
    2: { 0: 'n1', s: ['<form id="f">', '</form>'], r: 1 }, s: ['<h1>', '</h1><ol>', '</ol>', ''], t: 'title' });
    return rendered;
  };
  const ids = rendered => rendered.streams.get('0').map(item => item.id).join(' ');
  const entry = (id, text = id) => ({ 0: id, 1: text });

  test('pours into HTML', () => {
    const rendered = start();
    assert.equal(rendered.html(), '<h1>tea</h1><ol><p id="a"><b>A</b></p><p id="b"><b>B</b></p><p id="c"><b>C</b></p></ol><form id="f">n1</form>');
    assert.equal(rendered.title, 'title');
    assert.deepEqual(rendered.problems, []);
  });

  for (const [what, diff, result] of [
    ['append', { k: { 0: entry('d'), kc: 1 }, stream: ['0', [['d', -1, null]], []] }, 'a b c d'],
    ['append with a limit', { k: { 0: entry('d'), kc: 1 }, stream: ['0', [['d', -1, -3]], []] }, 'b c d'],
    ['update in place', { k: { 0: entry('b', 'new'), kc: 1 }, stream: ['0', [['b', -1, null]], []] }, 'a b c'],
    ['delete', { k: { kc: 0 }, stream: ['0', [], ['b']] }, 'a c'],
    ['an older page, newest first', { k: { 0: entry('y'), 1: entry('x'), kc: 2 }, stream: ['0', [['y', 0], ['x', 0]], []] }, 'x y a b c'],
    ['reset', { k: { 0: entry('c'), 1: entry('z'), kc: 2 }, stream: ['0', [['c', -1, null], ['z', -1, null]], [], true] }, 'c z'],
    ['reset even by null', { k: { kc: 0 }, stream: ['0', [], [], null] }, ''],
    ['append with its statics', { s: ['<p id="', '"><b>', '</b></p>'], k: { 0: entry('d'), kc: 1 }, stream: ['0', [['d', -1, null]], []] }, 'a b c d'],
  ]) {
    test(`stream: ${what}`, () => {
      const rendered = start();
      rendered.merge({ 1: diff });
      assert.equal(ids(rendered), result);
      assert.deepEqual(rendered.problems, []);
    });
  }

  test('a text, a part of a struct, a title', () => {
    const rendered = start();
    rendered.merge({ 0: 'coffee', 2: { 0: 'n2' }, t: 'other' });
    assert.match(rendered.html(), /^<h1>coffee<.*n2<\/form>$/);
    assert.equal(rendered.title, 'other');
    assert.equal(ids(rendered), 'a b c');
  });

  for (const [what, diff] of [
    ['a diff without statics where a text is', { 0: { 0: 'x' } }], ['a null', { 0: null }], ['a number', { 0: 7 }], ['a hole too many', { 3: 'x' }],
    ['too few dynamics', { 2: { s: ['a', 'b', 'c'], 0: 'x' } }], ['an insert without its entry', { 1: { k: { kc: 0 }, stream: ['0', [['d', -1, null]], []] } }],
    ['an entry with another id', { 1: { k: { 0: entry('x'), kc: 1 }, stream: ['0', [['d', -1, null]], []] } }],
    ['half an entry', { 1: { k: { 0: { 0: 'd' }, kc: 1 }, stream: ['0', [['d', -1, null]], []] } }]]) {
    test(`${what} is found`, () => {
      const rendered = start();
      rendered.merge(diff);
      assert.notDeepEqual(rendered.problems, []);
    });
  }

  test('lists that are not streams', () => {
    const rendered = new Rendered();
    rendered.join({ 0: { s: ['<i>', '</i>'], k: { 0: { 0: 'x' }, 1: { 0: 'y' }, kc: 2 } }, s: ['', ''] });
    rendered.merge({ 0: { k: { 1: { 0: 'Y' }, 2: { 0: 'z' }, kc: 3 } } });
    assert.equal(rendered.html(), '<i>x</i><i>Y</i><i>z</i>');
    rendered.merge({ 0: { k: { 0: 2, 1: [0, { 0: 'X' }], kc: 2, km: true } } });
    assert.equal(rendered.html(), '<i>z</i><i>X</i>');
    assert.deepEqual(rendered.problems, []);
    rendered.merge({ 0: { k: { 0: 1, kc: 2 } } });
    assert.equal(rendered.problems.length, 1, 'a move without km');
  });
});

describe('HTML', () => {
  const html = '<div id="lt" data-x="a &amp; &quot;b&quot;" hidden><div class="y">in</div></div><p>out</p>';
  test('attributes and insides are found', () => {
    const [tag] = tags(html, 'div');
    assert.equal(attribute(tag, 'data-x'), 'a & "b"');
    assert.equal(attribute(tag, 'hidden'), '');
    assert.equal(attribute(tag, 'class'), undefined);
    assert.equal(inside(html, 0), '<div class="y">in</div>');
    assert.equal(element(html, 'p', () => true), '<p>out</p>');
    assert.equal(unescape(escape(`<&>"'`)), `<&>"'`);
  });
});
