// Chromium, driven: a browser, tabs in it, and what can be seen on them. The pages run the stock
// clients, so what holds here holds for people.
//
//   const browser = await Browser.start();
//   const kari = await browser.visit(node.url, '/lobby', { name: 'Kari' });
//   await kari.say('hello');            // typed, Enter, and the box is empty again
//   await kari.sees('hello');
//   await browser.stop();               // fails when a page complained on its console
//
// Nothing here waits for a guessed time: each wait has a condition that the page itself shows.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';
import { nobodyLeads } from './phoenix.mjs';
import { deadline, until } from './wait.mjs';

const executablePath = process.env.LIVETEA_CHROMIUM ?? '/usr/bin/chromium';
const switches = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/* What the browser itself says on the console when an address does not answer. */
export const lostConnection = /^WebSocket connection to 'wss?:[^']*' failed/;

/* Runs in the page before everything else: when sockets opened and closed, when the view was live, and what the
 * strips said, which may be gone before anybody looks. */
function probe() {
  const seen = { sockets: [], states: [], strips: [] };
  window.seen = seen;
  window.WebSocket = class extends WebSocket {
    constructor(...given) {
      super(...given);
      const record = { url: this.url, begun: Date.now(), opened: 0, closed: 0, code: 0 };
      seen.sockets.push(record);
      this.addEventListener('open', () => { record.opened = Date.now(); });
      this.addEventListener('close', event => { record.closed = Date.now(); record.code = event.code; });
    }
  };
  document.addEventListener('DOMContentLoaded', () => {
    const root = document.querySelector('#lt');
    if (!root) return;
    const look = () => {
      const state = ['connected', 'loading', 'client-error', 'server-error'].filter(name => root.classList.contains(`phx-${name}`)).join(' ');
      if (seen.states.at(-1)?.state !== state) seen.states.push({ state, at: Date.now() });
    };
    new MutationObserver(look).observe(root, { attributes: true, attributeFilter: ['class'] });
    look();
    const read = () => {
      for (const strip of root.querySelectorAll('.strip.on')) {
        const said = { kind: strip.className, text: strip.textContent.trim() };
        if (!seen.strips.some(({ kind, text }) => kind === said.kind && text === said.text)) seen.strips.push(said);
      }
    };
    new MutationObserver(read).observe(root, { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ['class'] });
    read();
  });
}

export class Browser {
  /* `hosts`: names that shall be this machine. */
  static async start({ hosts = [] } = {}) {
    const browser = new Browser();
    const rules = hosts.map(host => `MAP ${host} 127.0.0.1`).join(',');
    browser.chromium = await chromium.launch({ executablePath, headless: true, timeout: deadline(60_000),
      args: [...switches, ...(rules ? [`--host-resolver-rules=${rules}`] : [])] });
    browser.tabs = [];
    return browser;
  }

  /* A tab of a person of its own (that is, with cookies of its own), or of `like`'s. */
  async tab({ like, ...options } = {}) {
    const context = like?.context ?? await this.chromium.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    context.setDefaultTimeout(deadline(15_000));
    const tab = new Tab(context, await context.newPage());
    await tab.page.addInitScript(probe);
    this.tabs.push(tab);
    return tab;
  }

  /* Opens `path` on the node at `base`; with a name, as somebody who gave it there. */
  async visit(base, path, { name, ...options } = {}) {
    const tab = await this.tab(options);
    await tab.open(base + path);
    if (name !== undefined) await tab.giveName(name);
    return tab;
  }

  /* Ends the browser. Throws when a page complained of something that was not to be expected. */
  async stop() {
    const complaints = [...new Set(this.tabs.flatMap(tab => tab.complaints))];
    await this.chromium.close();
    assert.deepEqual(complaints, [], 'pages complained');
  }
}

export class Tab {
  constructor(context, page) {
    this.context = context;
    this.page = page;
    this.expected = []; // patterns of complaints that belong to the test
    this.heard = [];
    this.sent = [];     // frames [join_ref, ref, topic, event, payload], each with .at and .socket
    this.received = [];
    this.loads = 0;
    page.on('console', message => {
      if (['warning', 'error', 'assert'].includes(message.type())) this.heard.push(`${message.type()}: ${message.text()}`);
    });
    page.on('pageerror', error => this.heard.push(`exception: ${error.stack ?? error}`));
    page.on('dialog', dialog => {
      this.heard.push(`dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    page.on('domcontentloaded', () => { this.loads++; });
    page.on('websocket', socket => {
      const keep = list => ({ payload }) => {
        const frame = JSON.parse(payload);
        frame.at = Date.now();
        frame.socket = socket;
        list.push(frame);
      };
      socket.on('framesent', keep(this.sent));
      socket.on('framereceived', keep(this.received));
    });
  }

  get complaints() {
    return this.heard.filter(text => !this.expected.some(pattern => pattern.test(text.replace(/^\w+: /, ''))));
  }

  /* This test takes the node away from the page: the browser says that a connection failed. */
  expectsLoss() {
    if (!this.expected.includes(lostConnection)) this.expected.push(lostConnection);
    return this;
  }

  async open(url) {
    await this.page.goto(url);
    await this.connected();
    return this;
  }

  connected(ms = 15_000) { return this.page.locator('#lt.phx-connected').waitFor({ state: 'attached', timeout: deadline(ms) }); }

  async giveName(name) {
    const before = this.loads;
    await this.page.locator('#name-form input[name=name]').fill(name);
    await this.page.locator('#name-form').getByRole('button').click();
    await until('the page is loaded with the name', () => this.loads > before);
    await this.page.locator('#compose-form, #rename-form').first().waitFor({ state: 'attached' });
    await this.connected();
  }

  get box() { return this.page.locator('#compose'); }
  get text() { return this.box.inputValue(); }
  get nonce() { return this.page.locator('#compose-form input[name=nonce]').getAttribute('value'); }
  get hint() { return this.page.locator('.composer .hint [role=status]').innerText(); }
  get title() { return this.page.title(); }
  hasFocus(selector = '#compose') { return this.page.locator(selector).evaluate(element => element === document.activeElement); }

  /* The messages on the page, as somebody reads them, from the first to the last. */
  messages() {
    return this.page.locator('#messages').evaluate(list => [...list.children].map(item => {
      const body = item.querySelector('.body');
      const unseen = body.querySelector(':scope > .sr')?.innerText ?? ''; // the sender, said to screen readers only
      return { id: item.id, text: body.innerText.slice(unseen.length).trim(), sender: item.querySelector('.who')?.textContent ?? null };
    }));
  }

  async texts() { return (await this.messages()).map(message => message.text); }

  async sees(text, ms = 15_000) {
    await until(`the page shows ${JSON.stringify(text)}`, async () => (await this.texts()).includes(text), ms);
  }

  /* After a message was sent. What was refused because nobody led is sent again, under its id: an election may come
   * at any time. */
  async isEmpty(ms = 30_000) {
    await until('the box is empty and can be written in', async () => {
      const { value, readOnly } = await this.box.evaluate(box => ({ value: box.value, readOnly: box.readOnly }));
      if (value !== '' && !readOnly && nobodyLeads(await this.hint)) await this.page.locator('#send').click();
      return value === '' && !readOnly;
    }, ms);
  }

  /* Types on the keyboard into the box, which has the focus afterwards. */
  async type(text) {
    if (!await this.hasFocus()) await this.box.click();
    await this.page.keyboard.type(text);
  }

  /* Types one message and sends it with Enter; until it is on the page and the box is empty. */
  async say(text) {
    await this.type(text);
    await this.page.keyboard.press('Enter');
    await this.isEmpty();
    await this.sees(text);
  }

  /* Takes the focus out of the box, as somebody who clicks elsewhere. */
  async leaveBox() {
    await this.page.locator('.head h1').click();
    assert.equal(await this.hasFocus(), false);
  }

  /* What was written so far must still be the same page later: no load in between. */
  async mark() {
    this.loadsAtMark = this.loads;
    await this.page.evaluate(() => { window.mark = true; });
  }

  async assertSamePage() {
    assert.equal(await this.page.evaluate(() => window.mark === true), true, 'the page was loaded anew');
    assert.equal(this.loads, this.loadsAtMark);
  }

  /* What was changed is laid out and drawn. */
  drawn() { return this.page.evaluate(() => new Promise(done => { requestAnimationFrame(() => requestAnimationFrame(done)); })); }

  /* The path as the page has it: what `page.url()` says comes by another way, and later. */
  path() { return this.page.evaluate(() => location.pathname); }

  sockets() { return this.page.evaluate(() => window.seen.sockets); }
  strips() { return this.page.evaluate(() => window.seen.strips); }
  states() { return this.page.evaluate(() => window.seen.states); }

  /* The address of the node that serves the page now. */
  async server() {
    const open = (await this.sockets()).filter(socket => socket.opened && !socket.closed);
    return open.length === 1 ? new URL(open[0].url).host : null;
  }

  /* Live again, on a socket that was opened after `since`. Resolves to when it was. */
  async backSince(since, ms = 15_000) {
    return until('the page is live again', async () => {
      const { sockets, states } = await this.page.evaluate(() => window.seen);
      const socket = sockets.find(one => one.opened >= since && !one.closed);
      const last = states.at(-1);
      return socket && last?.state === 'connected' && last.at >= socket.opened ? last.at : null;
    }, ms);
  }

  /* Cuts the connection, from the page's side, with a code that means: come back. */
  async cut() {
    const at = await this.page.evaluate(() => {
      const now = Date.now();
      window.liveSocket.socket.conn.close(4001);
      return now;
    });
    return at;
  }

  /* Events of this name that were sent, and whether each was answered. */
  events(name) { return this.sent.filter(([, , , event, payload]) => event === 'event' && payload.event === name); }
  named(event) { return this.sent.filter(frame => frame[3] === event); }
  reply(frame) {
    return this.received.find(one => one[3] === 'phx_reply' && one[0] === frame[0] && one[1] === frame[1] && one.socket === frame.socket);
  }

  /* The answer to the `count`th event of this name (counted from 1), waited for. */
  async answer(name, count, ms = 15_000) {
    return until(`${name} no. ${count} is answered`, () => {
      const frame = this.events(name)[count - 1];
      return frame && this.reply(frame);
    }, ms);
  }

  slow(ms) { return this.page.evaluate(wait => window.liveSocket.enableLatencySim(wait), ms); }
}
