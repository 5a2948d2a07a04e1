// Changing the members of a running cluster, as an administrator does, through the API.
import assert from 'node:assert/strict';
import { json } from './http.mjs';
import { deadline, until } from './wait.mjs';

/* One change, at the node that leads now; again when that was over before the change was. Resolves to the
 * answer, whatever it is. */
export async function change(cluster, method, where, body, { ms = 60_000 } = {}) {
  const until_ = performance.now() + deadline(ms);
  for (;;) {
    const answer = await (await cluster.leader()).admin(method, where, body);
    const isAgain = answer.status === 503 || answer.status === 504 || ['change_running', 'transfer_running', 'not_ready', 'catching_up'].includes(answer.value?.error);
    if (!isAgain || performance.now() > until_) return answer;
    await until('it is time to ask again', () => new Promise(resolve => { setTimeout(resolve, 100, true); }));
  }
}

const done = answer => assert.equal(answer.status, 200, answer.text);

/* Lets a node in that asks for it, and gives it a vote once it is level. */
export async function admit(cluster, node) {
  done(await change(cluster, 'POST', 'members', { name: node.name, address: node.address }));
  await promote(cluster, node);
  await node.ready(60_000);
}

export async function promote(cluster, node) {
  await until(`${node.name} can be given a vote`, async () => {
    const answer = await (await cluster.leader()).admin('POST', `members/${node.name}`, { role: 'voter' });
    if (answer.status === 200) return true;
    throw new Error(`${answer.status} ${answer.text}`);
  }, 60_000, 100);
}

export async function remove(cluster, name) {
  done(await change(cluster, 'DELETE', `members/${name}`));
}

const votersOf = ({ members }) => members.filter(member => member.role === 'voter').map(member => member.name).sort().join(' ');

/* Who votes, as one node says it. */
export const voters = async node => votersOf(await node.status());

/* Every member that runs names these voters, sooner or later: /status is a second old. */
export async function votersAre(cluster, names) {
  await until(`all nodes name the voters ${names}`, async () => {
    const all = await Promise.all(cluster.up.map(node => node.status()));
    const said = all.filter(status => status.node.joining === null).map(votersOf);
    if (said.every(one => one === names)) return true;
    throw new Error(said.join(' | '));
  }, 20_000);
}

export async function transferTo(cluster, node) {
  await until(`${node.name} leads`, async () => {
    const leader = await cluster.leader();
    if (leader === node) return true;
    const answer = await leader.admin('POST', 'transfer', { to: node.name });
    if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
    return await cluster.leader() === node;
  }, 10_000, 100);
}

export const say = async (node, room, text, id = text) => {
  const body = JSON.stringify({ sender: 'tester', text, id });
  return json(`${node.url}/api/rooms/${room}/messages`, { method: 'POST', body,
    headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } });
};
