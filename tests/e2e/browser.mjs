// The pages as people have them: the stock clients in Chromium. Each test has the number of its line
// in the checklist of docs/protocol.md; those that need a node to die are in three_nodes.mjs.
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { after, before, describe, test } from 'node:test';
import { Browser } from '../lib/browser.mjs';
import { Cluster } from '../lib/cluster.mjs';
import { json } from '../lib/http.mjs';
import { deadline, pause, until } from '../lib/wait.mjs';

let cluster, browser, one, two;
let rooms = 0;

before(async () => {
  [cluster, browser] = await Promise.all([Cluster.start({ nodes: 3, options: ['--chat-rate', '0'] }), Browser.start()]);
  [one, two] = cluster.nodes;
}, { timeout: deadline(60_000) });

after(async () => {
  try {
    await browser?.stop();
  } finally {
    await cluster?.down();
  }
}, { timeout: deadline(30_000) });

const freshRoom = () => `room-${++rooms}`;
const limit = { timeout: deadline(60_000) };

const enter = (room, { node = one, name = 'Kari', ...rest } = {}) => browser.visit(node.url, `/${room}`, { name, ...rest });

const post = (room, text, { sender = 'filler', node = one } = {}) => node.post(room, text, { sender });

async function fill(room, count, text = i => `message ${i}\n\nwith a second line`) {
  for (let i = 1; i <= count; i++) await post(room, text(i), { sender: `filler ${i % 3}` });
}

/* With `count`, once it has so many: of a long one the API gives what is on the disk. */
const history = (room, count = 0) => until('the history can be read', async () => {
  const { status, text, value } = await json(`${one.url}/api/rooms/${room}/messages?limit=500&after=0`);
  if (status !== 200) throw new Error(`${status} ${text}`);
  return value.messages.length >= count ? value.messages : null;
});

/* Where the log stands: 0 at the newest message, negative above. */
const place = tab => tab.page.locator('#log').evaluate(log => log.scrollTop);
const topOf = (tab, id) => tab.page.locator(`#${id}`).evaluate(item => item.getBoundingClientRect().top);

/* Enough to be over after: every page is closed, so that they do not slow each other down. */
async function leave(...tabs) {
  for (const tab of tabs) await tab.page.close();
}

/* The lines 46 to 52, as they are and with a slow line. */
function writing(line, latency) {
  const enterSlow = async (room, options) => {
    const tab = await enter(room, options);
    if (latency) await tab.slow(latency);
    return tab;
  };

  test(`${line(46)} a message is sent by the button and by Enter`, limit, async () => {
    const room = freshRoom();
    const [a, b] = [await enterSlow(room), await enterSlow(room, { name: 'Maja', node: two })];
    await a.type('by the button');
    await a.page.locator('#send').click();
    await a.isEmpty();
    await Promise.all([a.sees('by the button'), b.sees('by the button')]);
    await until('the focus is in the box', () => a.hasFocus());
    await a.say('by Enter');
    await until('the focus is in the box', () => a.hasFocus());
    await b.sees('by Enter');
    await b.say('and back');
    await a.sees('and back');
    for (const tab of [a, b]) assert.deepEqual(await tab.texts(), ['by the button', 'by Enter', 'and back']);
    await leave(a, b);
  });

  test(`${line(47)} Enter sends, Shift+Enter breaks the line, and nothing is left behind`, limit, async () => {
    const room = freshRoom();
    const a = await enterSlow(room);
    await a.type('first');
    await a.page.keyboard.press('Shift+Enter');
    await a.page.keyboard.type('second');
    assert.equal(await a.text, 'first\nsecond');
    await a.page.keyboard.press('Enter');
    await a.isEmpty();
    await a.sees('first\nsecond');
    await a.say('third');
    assert.deepEqual((await history(room)).map(message => message.text), ['first\nsecond', 'third']);
    await leave(a);
  });

  test(`${line(48)} Enter in an empty box does nothing`, limit, async () => {
    const room = freshRoom();
    const a = await enterSlow(room);
    await a.box.click();
    await a.page.keyboard.press('Enter');
    await a.answer('send_message', 1);
    await a.isEmpty();
    await a.type('   ');
    await a.page.keyboard.press('Enter');
    await a.answer('send_message', 2);
    await a.isEmpty();
    assert.deepEqual(await a.messages(), []);
    await a.say('something');
    assert.deepEqual((await history(room)).map(message => message.text), ['something']);
    await leave(a);
  });

  test(`${line(49)} a draft without the focus stays while somebody else writes`, limit, async () => {
    const room = freshRoom();
    const [a, b] = [await enterSlow(room), await enterSlow(room, { name: 'Maja' })];
    await b.type('not finished');
    await b.leaveBox();
    await a.say('meanwhile');
    await b.sees('meanwhile');
    assert.equal(await b.text, 'not finished');
    await a.say('again');
    await b.sees('again');
    assert.equal(await b.text, 'not finished');
    await leave(a, b);
  });

  test(`${line(50)} a draft with the focus stays, and so does its caret`, limit, async () => {
    const room = freshRoom();
    const [a, b] = [await enterSlow(room), await enterSlow(room, { name: 'Maja' })];
    await b.type('abcdef');
    for (let i = 0; i < 3; i++) await b.page.keyboard.press('ArrowLeft');
    await a.say('meanwhile');
    await b.sees('meanwhile');
    assert.equal(await b.hasFocus(), true);
    assert.equal(await b.box.evaluate(box => box.selectionStart), 3);
    await b.page.keyboard.type('X');
    assert.equal(await b.text, 'abcXdef');
    await leave(a, b);
  });

  test(`${line(51)} the log stays at the newest message, and with a reader who scrolled up`, limit, async () => {
    const room = freshRoom();
    await fill(room, 20);
    const [a, b] = [await enterSlow(room), await enterSlow(room, { name: 'Maja' })];
    for (const tab of [a, b]) assert.ok(Math.abs(await place(tab)) < 1, 'opened at the newest message');
    await b.page.mouse.move(640, 300);
    await b.page.mouse.wheel(0, -300);
    await until('the log is scrolled up', async () => await place(b) < -200);
    const shown = (await b.messages()).at(-10).id;
    let before_, still = 0;
    await until('the scrolling is over', async () => {
      await b.drawn();
      const now = await topOf(b, shown);
      still = now === before_ ? still + 1 : 0;
      before_ = now;
      return still === 5;
    });
    for (let i = 1; i <= 10; i++) await post(room, `new ${i}`, { node: two });
    await Promise.all([a.sees('new 10'), b.sees('new 10')]);
    await Promise.all([a.drawn(), b.drawn()]);
    assert.ok(Math.abs(await place(a)) < 1, `the reader at the end stays there (${await place(a)})`);
    const moved = await topOf(b, shown) - before_;
    assert.ok(Math.abs(moved) < 1, `the row of the reader who scrolled up moved by ${moved} px`);
    await leave(a, b);
  });

  test(`${line(52)} older messages come as the reader scrolls up, to the very first`, limit, async () => {
    const room = freshRoom();
    await fill(room, 130);
    const all = (await history(room, 130)).map(message => `m-${message.number}`);
    assert.equal(all.length, 130);
    const a = await enterSlow(room);
    assert.deepEqual((await a.messages()).map(message => message.id), all.slice(-50));
    for (const count of [100, 130]) {
      const first = (await a.messages())[0].id;
      // To the first message there is and never on, into what has come meanwhile, as a wheel could. Once the log
      // is there it does not scroll any more, and the client does not see it: from a little below, and up again.
      // A node that is busy has nothing older for the moment: then the reader asks again.
      await until(`${count} messages are on the page`, async () => {
        if ((await a.messages()).length >= count) return true;
        await a.page.locator(`#${first}`).evaluate(async item => {
          item.closest('#log').scrollBy(0, 120);
          await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
          item.scrollIntoView({ block: 'start' });
        });
        return false;
      }, 20_000, 600);
      await a.drawn();
      const { top, bottom } = await a.page.locator('#log').evaluate(log => log.getBoundingClientRect());
      const at = await topOf(a, first);
      assert.ok(at > top - 200 && at < bottom, `who read ${first} still sees it: ${at} of ${top} to ${bottom}`);
    }
    assert.deepEqual((await a.messages()).map(message => message.id), all);
    await a.page.locator('.start').waitFor({ state: 'attached' });
    await leave(a);
  });
}

describe('a room', () => {
  test('§11.45 a page opens, is live, has a title and nothing to complain about', limit, async () => {
    const room = freshRoom();
    const a = await browser.visit(one.url, `/${room}`);
    assert.equal(await a.title, `#${room} - Live Tea`);
    assert.match(await a.page.locator('#lt').getAttribute('class'), /phx-connected/);
    // Readable at once; who wants to write says a name first.
    await a.giveName('Kari');
    assert.equal(await a.title, `#${room} - Live Tea`);
    assert.equal(await a.path(), `/${room}`);
    await a.box.waitFor();
    assert.deepEqual(a.complaints, []);
    await leave(a);
  });

  writing(number => `§11.${number}`, 0);

  test('a late answer does not take who reads further up to the end', limit, async () => {
    const room = freshRoom();
    await fill(room, 20);
    const a = await enter(room);
    const isLate = async latency => {
      await a.slow(latency);
      const before_ = a.events('send_message').length;
      await a.type('late');
      await a.page.keyboard.press('Enter');
      await a.page.locator('#log').focus();
      // Not to the beginning: there the client scrolls back by itself when it has been answered.
      await a.page.mouse.move(640, 300);
      await a.page.mouse.wheel(0, -300);
      await until('the log is scrolled up', async () => await place(a) < -200);
      const sent = a.events('send_message')[before_];
      return !sent || !a.reply(sent); // and the page will have it so much later again
    };
    // On a slow machine the answer may come before all that is done.
    for (let latency = 1500; !await isLate(latency); latency *= 3) await a.isEmpty();
    await a.isEmpty();
    for (let i = 0; i < 5; i++) await a.drawn();
    assert.ok(await place(a) < -200, `the log stands at ${await place(a)}`);
    await a.sees('late');
    await leave(a);
  });

  test('§11.57 a session that is not ours costs one page load, and no more', limit, async () => {
    const a = await enter(freshRoom());
    const { loads } = a;
    await a.page.evaluate(() => {
      const root = document.querySelector('#lt');
      const token = root.dataset.phxSession;
      root.dataset.phxSession = token.slice(0, 20) + (token[20] === 'A' ? 'B' : 'A') + token.slice(21);
    });
    await a.cut();
    await until('the page was loaded anew', () => a.loads === loads + 1);
    await a.connected();
    await a.say('still here');
    assert.equal(a.loads, loads + 1);
    assert.match(JSON.stringify(a.received.filter(frame => frame[3] === 'phx_reply' && frame[4].status === 'error').at(-1)), /"stale"/);
    await leave(a);
  });

  test('§11.60 what people write is text: no script runs, no name breaks out', limit, async () => {
    const room = freshRoom();
    const a = await enter(room, { name: `<b>"K'&` });
    const text = '<script>alert(1)</script><img src=x onerror=alert(2)> &amp; "quoted"';
    await a.say(text);
    assert.equal((await a.messages()).at(-1).sender, `<b>"K'&`);
    assert.equal(await a.page.locator('#messages script, #messages img').count(), 0);
    const b = await enter(room, { name: 'Maja' });
    assert.deepEqual(await b.texts(), [text]);
    const c = await browser.tab();
    const answer = await c.page.goto(`${one.url}/${encodeURIComponent(`"'><script>alert(3)</script>`)}`);
    assert.equal(answer.status(), 404);
    assert.equal(await c.page.locator('main script').count(), 0);
    assert.match(await c.page.locator('main').innerText(), /alert\(3\)/);
    // The browser says that the page itself was a 404; nothing else may be said.
    c.expected.push(/^Failed to load resource: the server responded with a status of 404/);
    await leave(a, b, c);
  });

  test('§11.62 a page that was away for a while is up to date when it comes back', limit, async () => {
    const room = freshRoom();
    const [a, b] = [await enter(room), await enter(room, { name: 'Maja', node: two })];
    await a.say('before');
    await b.sees('before');
    await b.mark();
    await b.page.evaluate(() => new Promise(done => window.liveSocket.disconnect(done)));
    for (let i = 1; i <= 5; i++) await a.say(`meanwhile ${i}`);
    assert.deepEqual(await b.texts(), ['before']);
    await b.page.evaluate(() => window.liveSocket.connect());
    await b.sees('meanwhile 5');
    await a.say('after');
    await b.sees('after');
    assert.deepEqual(await b.messages(), await a.messages());
    await b.assertSamePage();
    await leave(a, b);
  });

  test('on a touch screen Enter breaks the line, and the button sends', limit, async () => {
    const room = freshRoom();
    const a = await enter(room, { hasTouch: true, isMobile: true, viewport: { width: 390, height: 844 } });
    await a.page.locator('#k-enter').waitFor({ state: 'detached' });
    await a.box.tap();
    await a.page.keyboard.type('first');
    await a.page.keyboard.press('Enter');
    await a.page.keyboard.type('second');
    assert.equal(await a.text, 'first\nsecond');
    await a.page.locator('#send').tap();
    await a.isEmpty();
    await a.sees('first\nsecond');
    await leave(a);
  });

  test('without JavaScript a name is given, a message sent and read', limit, async () => {
    const room = freshRoom();
    const { page } = await browser.tab({ javaScriptEnabled: false });
    await page.goto(`${one.url}/${room}`);
    await page.locator('#name-form input[name=name]').fill('Kari');
    await page.locator('#name-form button').click();
    const send = async () => {
      await page.locator('#compose').fill('line 1\nline 2');
      await page.locator('#send').click();
    };
    await send();
    await until('the message is on the page', async () => {
      if (page.url().endsWith('?e=no_leader')) await send(); // an election may come at any time
      return await page.locator('#messages .body', { hasText: 'line 2' }).count() > 0;
    }, 30_000, 500);
    assert.equal(new URL(page.url()).pathname, `/${room}`);
    assert.equal(await page.locator('#messages .who').innerText(), 'Kari');
    assert.equal(await page.locator('#compose').inputValue(), '');
    assert.deepEqual((await history(room)).map(message => message.text), ['line 1\nline 2']);
    await page.close();
  });

  /* A draft, a rejoin, and then the draft's id turns up in the log: as if the command had been on its
   * way all the time. */
  async function lateCommand(tab, room, text) {
    await tab.type(text);
    const nonce = await tab.nonce;
    const since = await tab.cut();
    await tab.backSince(since);
    await tab.answer('recover', 1);
    await until('the box can be written in', () => tab.box.evaluate(box => !box.readOnly));
    assert.equal(await tab.text, text);
    assert.equal(await tab.nonce, nonce);
    const apply = async () => {
      const token = await tab.page.locator('#compose-form input[name=_csrf_token]').getAttribute('value');
      await until('somebody leads, and takes the message', async () => {
        const answer = await tab.context.request.post(`${one.url}/${room}`,
          { form: { _csrf_token: token, nonce, message: text }, maxRedirects: 0, headers: { origin: one.url } });
        assert.equal(answer.status(), 303, await answer.text());
        assert.equal(answer.headers().location, `/${room}`);
        return true;
      }, 30_000, 200);
    };
    return { nonce, apply };
  }

  test('§11.73 a message that turns out to be sent empties the box, even with the focus in it', limit, async () => {
    const room = freshRoom();
    const a = await enter(room);
    const { nonce, apply } = await lateCommand(a, room, 'was it sent');
    await a.box.click();
    assert.equal(await a.hasFocus(), true);
    await apply();
    await a.sees('was it sent');
    await a.isEmpty();
    assert.notEqual(await a.nonce, nonce);
    await a.say('yes');
    assert.deepEqual(await a.texts(), ['was it sent', 'yes']);
    await leave(a);
  });

  test('§11.73 what was written since then stays, under a new id and with a hint', limit, async () => {
    const room = freshRoom();
    const a = await enter(room);
    const { nonce, apply } = await lateCommand(a, room, 'was it sent');
    await a.box.click();
    await a.page.keyboard.press('End');
    await a.page.keyboard.type(', I wonder');
    // That it was typing was told before, perhaps only now: what counts is that the node knows of all of it.
    await until('the node knows what stands in the box', () => a.events('typing').some(frame =>
      new URLSearchParams(frame[4].value).get('message') === 'was it sent, I wonder' && a.reply(frame)));
    await apply();
    await a.sees('was it sent');
    await until('the hint is shown', async () => await a.hint === 'Your earlier message was sent, this one not yet.');
    assert.equal(await a.text, 'was it sent, I wonder');
    assert.notEqual(await a.nonce, nonce);
    await a.page.keyboard.press('Enter');
    await a.isEmpty();
    await a.sees('was it sent, I wonder');
    assert.deepEqual(await a.texts(), ['was it sent', 'was it sent, I wonder']);
    await leave(a);
  });

  test('§11.73 also what the server was never told', limit, async () => {
    const room = freshRoom();
    const a = await enter(room);
    const { nonce, apply } = await lateCommand(a, room, 'was it sent');
    await a.box.click();
    await a.page.keyboard.press('End');
    // As if somebody went on typing without a pause: then nothing is told.
    await a.box.evaluate(box => box.setAttribute('phx-debounce', '600000'));
    await a.page.keyboard.type(', I wonder ');
    await apply();
    await until('the hint is shown', async () => await a.hint === 'Your earlier message was sent, this one not yet.');
    assert.ok(a.events('typing').every(frame => !frame[4].value.includes('wonder')), 'it was told');
    assert.equal(await a.text, 'was it sent, I wonder ');
    assert.notEqual(await a.nonce, nonce);
    await until('the focus is in the box', () => a.hasFocus());
    await a.page.keyboard.type('still');
    await a.page.keyboard.press('Enter');
    await a.isEmpty();
    await a.sees('was it sent, I wonder still');
    await leave(a);
  });

  test('§11.73 a message that turns out to be sent leaves the focus where it is', limit, async () => {
    const room = freshRoom();
    const a = await enter(room);
    const { apply } = await lateCommand(a, room, 'was it sent');
    await a.page.locator('#log').focus();
    await apply();
    await a.sees('was it sent');
    await a.isEmpty();
    await until('the focus is in the log', () => a.hasFocus('#log'));
    await leave(a);
  });
});

describe('between rooms', () => {
  test('§11.58 links, back and forward lead to the right room, with one request each', limit, async () => {
    const [first, second] = [freshRoom(), freshRoom()];
    await post(first, `in ${first}`);
    await post(second, `in ${second}`);
    const a = await enter(first);
    await a.mark();
    const at = async (room, moves) => {
      await a.sees(`in ${room}`);
      assert.deepEqual(await a.texts(), [`in ${room}`]);
      assert.equal(await a.path(), `/${room}`);
      await until('the title is the room\'s', async () => new RegExp(`^(\\(\\d+\\) )?#${room} - Live Tea$`).test(await a.title));
      assert.equal(await a.page.locator('#compose').getAttribute('placeholder'), `Message #${room}`);
      assert.deepEqual({ patches: a.named('live_patch').length, leaves: a.named('phx_leave').length, joins: a.named('phx_join').length }, moves);
    };
    // The one before the name was given is another page's.
    const joins = a.named('phx_join').length;
    const leaves = a.named('phx_leave').length;
    await a.sees(`in ${first}`);
    await a.page.locator(`.side .rooms a[href="/${second}"]`).click();
    await at(second, { patches: 1, leaves, joins });
    await a.page.goBack();
    await at(first, { patches: 2, leaves, joins });
    await a.page.goForward();
    await at(second, { patches: 3, leaves, joins });
    await a.say(`said in ${second}`);
    // The other kind of link: the view is left and another one is joined, on the same socket.
    await a.page.evaluate(room => window.liveSocket.js().navigate(`/${room}`), first);
    await at(first, { patches: 3, leaves: leaves + 1, joins: joins + 1 });
    await a.page.goBack();
    await a.sees(`said in ${second}`);
    assert.deepEqual(await a.texts(), [`in ${second}`, `said in ${second}`]);
    assert.equal(await a.path(), `/${second}`);
    await a.assertSamePage();
    await leave(a);
  });

  test('a name, a room to open, and the list of rooms', limit, async () => {
    const room = freshRoom();
    const a = await browser.visit(one.url, '/', { name: 'Ola' });
    await a.mark();
    await a.page.locator('#room').fill(room.replace('-', ' ').toUpperCase());
    await a.page.locator('#room').press('Enter');
    await a.page.locator('#compose').waitFor();
    await until('the address is the room\'s', async () => await a.path() === `/${room}`);
    assert.match(await a.page.locator('.start').innerText(), new RegExp(`This is the start of #${room}`));
    await a.say('first');
    await a.page.locator('.brand').click();
    await a.page.locator(`.list a[href="/${room}"]`, { hasText: 'first' }).waitFor();
    await a.page.goBack();
    await a.sees('first');
    await a.assertSamePage();
    await leave(a);
  });

  test('unread messages are counted in the title and in the list of rooms', limit, async () => {
    const [here, there] = [freshRoom(), freshRoom()];
    await post(there, 'old');
    const a = await enter(here);
    // It counts from the list that it begins with, which may be a second old: from one that has 'old'.
    await until('the page begins with a list that has the room', async () => {
      await a.page.reload();
      await a.connected();
      return new RegExp(`/${there}\\b`).test(JSON.stringify(a.reply(a.named('phx_join').at(-1))));
    }, 15_000, 500);
    for (let i = 1; i <= 3; i++) await post(there, `new ${i}`);
    await until('three are counted', async () => await a.title === `(3) #${here} - Live Tea`);
    await a.page.locator(`.side .rooms a[href="/${there}"]`).click();
    await a.sees('new 3');
    await until('none is counted', async () => await a.title === `#${there} - Live Tea`);
    await leave(a);
  });

  test('a link in the list of rooms stays the same one when the order changes', limit, async () => {
    const [here, there] = [freshRoom(), freshRoom()];
    await post(there, 'old');
    const a = await enter(here);
    await post(here, 'newest');
    const order = () => a.page.locator('.side .rooms a').evaluateAll(links => links.map(link => link.pathname.slice(1)).slice(0, 2));
    await until('the room is the first', async () => (await order()).join() === `${here},${there}`);
    await a.page.locator(`.side .rooms a[href="/${there}"]`).evaluate(link => { window.link = link; });
    await post(there, 'new');
    await until('the other room is the first', async () => (await order()).join() === `${there},${here}`);
    assert.equal(await a.page.evaluate(() => window.link.isConnected && window.link.pathname), `/${there}`);
    await leave(a);
  });

  test('who is here, on whichever node, and who is typing', limit, async () => {
    const room = freshRoom();
    const [a, b] = [await enter(room), await enter(room, { name: 'Maja', node: two })];
    await a.page.locator('.people .name', { hasText: 'Maja' }).waitFor();
    await b.page.locator('.people .name', { hasText: 'Kari' }).waitFor();
    await until('Kari reads that Maja is typing', async () => { // shown for a while after each time that she has
      if (/Maja is typing/.test(await a.hint)) return true;
      await b.type('thinking ');
      return false;
    }, 20_000, 2_000);
    assert.deepEqual(await history(room), []);
    await leave(b);
    await a.page.locator('.people .name', { hasText: 'Maja' }).waitFor({ state: 'detached' });
    await leave(a);
  });

  test('§11.59 a page that went from room to room under load ends as a fresh one', { timeout: deadline(120_000) }, async () => {
    const two_ = [freshRoom(), freshRoom()];
    for (const room of two_) await post(room, 'begin');
    const a = await enter(two_[0]);
    await a.mark();
    let isOver = false;
    let count = 0;
    const load = Promise.all(two_.map(async room => {
      while (!isOver) {
        await post(room, `load ${++count}`, { sender: `filler ${count % 5}` });
        await pause(20); // as fast as a page can show it
      }
    }));
    try {
      for (let i = 1; i <= 30; i++) {
        await a.page.locator(`.side .rooms a[href="/${two_[i % 2]}"]`).click();
        const goal = count + 5;
        await until('the load goes on', () => count >= goal);
      }
    } finally {
      isOver = true;
      await load;
    }
    for (const room of two_) await post(room, 'end');
    for (const room of two_) {
      await a.page.locator(`.side .rooms a[href="/${room}"]`).click();
      await until(`the page is in ${room}`, async () => await a.page.locator('#compose').getAttribute('placeholder') === `Message #${room}`);
      await a.sees('end');
      const b = await browser.visit(two.url, `/${room}`);
      const look = tab => tab.page.locator('#messages').evaluate(list => [...list.children].slice(-50).map(item => [item.id, item.className, item.innerText]));
      await b.sees('end'); // its node may be a little behind
      const fresh = await look(b);
      assert.equal(fresh.length, 50);
      // The last of the thirty turns may still be on their way: it is where they end that counts.
      let shown;
      const isSame = async () => isDeepStrictEqual(shown = await look(a), fresh);
      await until('it ends as the fresh one', isSame).catch(() => assert.deepEqual(shown, fresh));
      await leave(b);
    }
    await a.assertSamePage();
    await leave(a);
  });
});

describe('with a latency of 800 ms', () => {
  writing(number => `§11.61 (${number})`, 800);
});
