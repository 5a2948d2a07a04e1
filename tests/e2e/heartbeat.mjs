// Pages that nobody touches: the client's heartbeat every 30 seconds is answered, the connection stays
// and the page is not loaded anew. Two beats by default; LIVETEA_BEATS=20 are ten minutes.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser } from '../lib/browser.mjs';
import { Cluster } from '../lib/cluster.mjs';
import { deadline, until } from '../lib/wait.mjs';

const beats = Number(process.env.LIVETEA_BEATS ?? 2);
const everyMs = 30_000;

let cluster, browser;
before(async () => {
  [cluster, browser] = await Promise.all([Cluster.start({ nodes: 3 }), Browser.start()]);
}, { timeout: deadline(60_000) });
after(async () => {
  try {
    await browser?.stop();
  } finally {
    await cluster?.down();
  }
}, { timeout: deadline(30_000) });

test(`§11.64 two tabs stay for ${beats} heartbeats`, { timeout: (beats + 1) * everyMs + deadline(30_000) }, async context => {
  const [one, two] = cluster.nodes;
  const a = await browser.visit(one.url, '/quiet', { name: 'Kari' });
  const b = await browser.visit(two.url, '/quiet', { name: 'Maja' });
  for (const tab of [a, b]) await tab.mark();
  const sent = tab => tab.sent.filter(([joinRef, , topic, event]) => joinRef === null && topic === 'phoenix' && event === 'heartbeat');
  await until('all heartbeats are answered', () => [a, b].every(tab => {
    const all = sent(tab);
    return all.length >= beats && all.every(frame => tab.reply(frame)?.[4].status === 'ok');
  }), (beats + 0.5) * everyMs, 250);
  for (const tab of [a, b]) {
    await tab.assertSamePage();
    const sockets = await tab.sockets();
    assert.equal(sockets.length, 1);
    assert.equal(sockets[0].closed, 0);
    context.diagnostic(`beats after ${sent(tab).map(frame => ((frame.at - sockets[0].opened) / 1000).toFixed(1)).join(', ')} s`);
  }
  await a.say('still here');
  await b.sees('still here');
});
