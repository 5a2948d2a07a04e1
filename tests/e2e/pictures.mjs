// Pictures of all pages, for whoever changes how they look:  node tests/e2e/pictures.mjs OUTDIR
//
// A cluster of three with a few rooms; desktop and phone, light and dark. Not a test: nothing is
// compared but by the eye.
import fs from 'node:fs';
import path from 'node:path';
import { Browser } from '../lib/browser.mjs';
import { Cluster } from '../lib/cluster.mjs';
import { until } from '../lib/wait.mjs';

const out = process.argv[2];
if (!out) {
  console.error('usage: node tests/e2e/pictures.mjs OUTDIR');
  process.exit(2);
}
fs.mkdirSync(out, { recursive: true });

const shapes = [
  { shape: 'desk', viewport: { width: 1280, height: 800 } },
  { shape: 'phone', viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 }];
const schemes = ['light', 'dark'];

const talk = [
  ['Maja', 'Good morning. Is the kettle on?'],
  ['Ola', 'It is. **Oolong** today, and there is *some* ~~sencha~~ left.'],
  ['Ola', 'Steep it for three minutes:\n\n```\n90 degrees, 3 min\nthen 85 degrees, 4 min\n```'],
  ['Kari', '> Is the kettle on?\n\nIt has been on since six.'],
  ['Kari', 'Three things to do:\n\n- rinse the pot\n- count the cups\n- read https://example.org/tea?leaves=green'],
  ['Maja', 'A line\nand another line, with `code` in it, for @Kari'],
  ['Ingeborg Aleksandersen-Kristoffersen', 'averyveryverylongwordwithoutanyspace'.repeat(6)],
  ['Ola', '\u{1F375}\u{1F375}'],
  ['Maja', Array.from({ length: 40 }, (_, i) => `line ${i + 1} of a long message`).join('\n')],
  ['Ola', 'Right. See you at four.'],
  ['Kari', '<b>no markup</b> & "quotes"']];

const cluster = await Cluster.start({ nodes: 3, options: ['--chat-rate', '0'] });
const browser = await Browser.start();
const [one, two, three] = cluster.nodes;
const say = (room, sender, text) => one.post(room, text, { sender });

/* One picture of each shape and scheme. `see` waits for what must be on it. */
async function pictures(name, { base = one.url, where = '/', as, shapesOf = shapes, see = async () => {}, isLive = true }) {
  for (const { shape, ...options } of shapesOf) {
    for (const scheme of schemes) {
      const tab = await browser.tab({ ...options, colorScheme: scheme });
      if (isLive) {
        await tab.open(base + where);
        if (as) await tab.giveName(as);
      } else {
        tab.expected.push(/status of 404/);
        await tab.page.goto(base + where);
      }
      await see(tab);
      await tab.page.screenshot({ path: path.join(out, `${name}-${shape}-${scheme}.png`) });
      await tab.context.close();
    }
  }
}

try {
  for (const [sender, text] of [['Ola', 'Who waters the plants?'], ['Maja', 'I do, on Mondays.']]) await say('garden', sender, text);
  await say('night-shift', 'Kari', 'All quiet.');
  for (const [sender, text] of talk) await say('lobby', sender, text);

  const maja = await browser.visit(two.url, '/lobby', { name: 'Maja' });
  const ola = await browser.visit(three.url, '/lobby', { name: 'Ola' });
  const here = tab => tab.page.locator('.people .name', { hasText: 'Ola' }).waitFor({ state: 'attached' });
  await pictures('home-first', { see: tab => tab.page.locator('.list').waitFor() });
  await pictures('home', { as: 'Kari' });
  await pictures('room', { where: '/lobby', as: 'Kari', see: async tab => {
    await here(tab);
    await ola.box.fill('');
    await ola.type('typing');
    await tab.page.locator('.hint .typing').waitFor();
    await say('garden', 'Ola', 'And on Tuesdays?');
    await tab.page.locator('.side .rooms li', { hasText: 'garden' }).waitFor({ state: 'attached' });
    await until('one is unread', async () => /^\(\d+\)/.test(await tab.title));
  } });
  await pictures('room-scrolled', { where: '/lobby', as: 'Kari', see: async tab => {
    await tab.page.locator('#log').evaluate(log => { log.scrollTop = -600; });
    await tab.page.locator('.jump a').waitFor();
  } });
  await pictures('room-nameless', { where: '/lobby' });
  await pictures('room-empty', { where: '/a-new-room', as: 'Kari' });
  await pictures('not-found', { where: '/no/such/page', isLive: false });
  await pictures('cluster', { where: '/cluster', see: tab => tab.page.locator('.nodes section').nth(2).waitFor() });

  await maja.context.close();
  await ola.context.close();
  await three.kill();
  await pictures('cluster-degraded', { where: '/cluster', see: tab => tab.page.locator('.state p', { hasText: '2 of 3 nodes are up' }).waitFor() });
  for (const { shape, ...options } of shapes) {
    const tab = (await browser.visit(two.url, '/lobby', { name: 'Kari', ...options, colorScheme: shape === 'desk' ? 'light' : 'dark' })).expectsLoss();
    await tab.page.evaluate(() => { window.liveSocket.socket.reconnectTimer.timerCalc = () => 60_000; });
    await tab.cut();
    await tab.page.locator('.strip.lost').waitFor();
    await tab.page.screenshot({ path: path.join(out, `room-reconnecting-${shape}.png`) });
    await tab.context.close();
  }
  await two.kill();
  await until('the last node has noticed', async () => (await one.status()).cluster.health === 'no_majority');
  const strip = tab => tab.page.locator('.strip.bad', { hasText: 'Reading only.' }).waitFor();
  await pictures('room-noquorum', { where: '/lobby', as: 'Kari', see: strip });
  await pictures('cluster-noquorum', { where: '/cluster', see: tab => tab.page.locator('.state p', { hasText: '1 of 3 nodes is up' }).waitFor() });
} finally {
  await browser.stop().catch(error => console.error(error.message));
  await cluster.down();
}
console.log(`${fs.readdirSync(out).filter(name => name.endsWith('.png')).length} pictures in ${out}`);
